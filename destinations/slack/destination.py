"""Slack as a destination: its data, and what its answers mean.

Sources: the reference of chat.postMessage and auth.test (errors), and "Rate limits".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from delivery.outcome import InactiveReason, Outcome, OutcomeCode, Then
from destinations.complaint import Complaint, error_name
from destinations.destination import Action, Destination, Field, Option
from destinations.slack.build import SendMessage, build, channel_of, read_channel
from destinations.template import read_template
from destinations.token import read_token

TOKEN = "access_token"  # noqa: S105  a key, not a secret
CHANNELS = "channels"

LONGEST_TOKEN = 255  # characters ("Token types")

# To each channel, bursts aside. There is an unpublished limit for all of them together, too.
MESSAGES_PER_SECOND = 1

# What an error of a 200 means; any other is permanent.
RATE_LIMITED = frozenset({"ratelimited", "rate_limited"})
TRY_AGAIN = frozenset(
    {
        "fatal_error",
        "internal_error",
        "org_login_required",  # while a workspace migrates
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
    }
)
# Another token, or the same one with more scopes, fixes these. Deleting a workspace, or removing
# the app from it, withdraws the authorization.
TOKEN_REFUSED: Mapping[str, InactiveReason] = {
    "account_inactive": "oauth_authorization_revoked",
    "invalid_auth": "authentication_invalid",
    "missing_scope": "oauth_reauthorization_required",
    "not_allowed_token_type": "authentication_invalid",
    "not_authed": "authentication_invalid",
    "token_expired": "oauth_reauthorization_required",
    "token_revoked": "oauth_authorization_revoked",
}

_ACCEPTED = re.compile(rb'\s*\{\s*"ok"\s*:\s*true\b')


def judge(outcome: Outcome, answer: Mapping[str, Any] | None) -> Outcome:
    """Correct the outcome of a 2xx by what Slack says in it; `answer` is None for anything else
    than Slack's JSON. Other statuses mean what they always do.
    """
    if outcome.then is not Then.DONE:
        return outcome
    if answer is None:
        return outcome.again("not an answer of Slack's, so the message may not be posted")
    if answer["ok"]:
        return outcome
    code, then = _meaning(error := error_of(answer))
    return replace(
        outcome,
        code=code,
        then=then,
        message=f"{outcome.status_code}: Slack says {error}",
        inactive_reason=TOKEN_REFUSED.get(error, outcome.inactive_reason),
    )


def _meaning(error: str) -> tuple[OutcomeCode, Then]:
    if error in RATE_LIMITED:
        return OutcomeCode.RATE_LIMITED, Then.RETRY
    if error in TRY_AGAIN:
        return OutcomeCode.REJECTED_SERVER_ERROR, Then.RETRY
    if error in TOKEN_REFUSED:
        return OutcomeCode.AUTH_FAILED, Then.HOLD
    return OutcomeCode.REJECTED_CLIENT_ERROR, Then.STOP


def read_answer(body: bytes) -> dict[str, Any] | None:
    """Read Slack's JSON; None for anything else.

    One that is cut is an acceptance if it starts as one: Slack repeats messages of any length.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {"ok": True} if _ACCEPTED.match(body) else None
    known = isinstance(found, dict) and isinstance(found.get("ok"), bool)
    return found if known else None


def error_of(answer: Mapping[str, Any]) -> str:
    """Return the name of the error, never other text."""
    return error_name(answer.get("error")) or "an unnamed error"


def explain(answer: Mapping[str, Any]) -> Complaint:
    """Read the name of the error, and of a scope that the token lacks: Slack has no other words."""
    needed = answer.get("needed")
    return Complaint.of(answer.get("error"), None, needed and f"the scope {needed} is missing")


def read_app_token(text: str) -> str:
    token = read_token(text, LONGEST_TOKEN)
    if not token.startswith("xox"):
        raise ValueError("must start with xoxb- or xoxp-; copy it from the app's page at Slack")
    return token


SLACK = Destination(
    type="slack",
    label="Slack",
    client="destinations.slack.client:SlackClient",
    fields=(
        Field(
            key=TOKEN,
            label="Bot token",
            kind="password",
            placeholder="xoxb-…",
            help="Of your own Slack app, with the scopes chat:write, channels:read, groups:read.",
            read=read_app_token,
        ),
    ),
    actions=(
        Action(
            key="send_message",
            label="Send message",
            noun="Message",
            description="Post a message to a channel.",
            calls=("send",),
            build=build,
            metadata=SendMessage,
            inputs=(
                Field(
                    key="id",
                    label="Channel",
                    placeholder="C0123456789",
                    help="Its id. Invite the app to the channel first.",
                    read=read_channel,
                    live=CHANNELS,
                ),
                Field(
                    key="template",
                    label="Message",
                    kind="textarea",
                    placeholder="{{user.name}} signed up with {{email}}",
                    help="Values of the payload stand in double braces, such as {{user.name}}.",
                    read=read_template,
                ),
            ),
            options=(
                Field(
                    key="on_missing",
                    label="When the event lacks a value",
                    kind="select",
                    default="fail",
                    options=(
                        Option("fail", "Fail the delivery"),
                        Option("empty", "Leave its place empty"),
                    ),
                ),
            ),
        ),
    ),
    requests_per_second=MESSAGES_PER_SECOND,
    paced_by=channel_of,
    account=TOKEN,
    refused="Slack refuses the token: it is wrong, revoked, or lacks a scope",
    explain=explain,
)
