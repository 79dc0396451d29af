"""What Mailchimp's answers mean, by the title of their error.

Sources: "Errors" and "Fundamentals" of the Marketing API. The titles of refusals that concern one
person aren't in the glossary, but in answers that others have published.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from delivery.attempt import Call
from delivery.outcome import Outcome, OutcomeCode, Then
from destinations.complaint import Complaint, first_object

REFUSED = "Mailchimp refuses the key: it is wrong, revoked, or may not do this"
NOT_MAILCHIMP = "not an answer of Mailchimp's, so it may have had no effect"

WRONG_DATA_CENTER = "Wrong Datacenter"
# Only the person can undo these, with a form of Mailchimp's; nothing here asks them to.
LEFT = {
    "Member In Compliance State": (
        "the person unsubscribed, bounced or is under compliance review, so Mailchimp subscribes "
        "them only when they sign up themselves; nothing was changed"
    ),
    "Forgotten Email Not Subscribed": (
        "the contact was permanently deleted, so Mailchimp subscribes the person only when they "
        "sign up themselves; nothing was changed"
    ),
}
_GONE: Mapping[Call, str] = {
    "identify": "the audience isn't there; choose another in the rule, or create it again",
    "track": "the audience or its contact isn't there any more",
}

_TITLE = re.compile(r"[A-Za-z][A-Za-z -]{0,79}")
# What our messages have, a merge field by its tag.
_FIELD = re.compile(
    r"email_address|ip_signup|merge_fields(\.[A-Z][A-Z0-9_]{0,79})?|name|occurred_at|properties"
    r"|status(_if_new)?"
)


def title_of(found: Mapping[str, Any] | None) -> str | None:
    """Return an error's title, never other text; None if the answer has none."""
    title = (found or {}).get("title")
    return title if isinstance(title, str) and _TITLE.fullmatch(title) else None


def judge(outcome: Outcome, found: Mapping[str, Any] | None, call: Call) -> Outcome:
    """Correct the outcome by what Mailchimp says; `found` is its JSON, if it is any."""
    status, title = outcome.status_code, title_of(found)
    if outcome.then is Then.DONE:
        known = status == 204 if call == "track" else _is_contact(found)
        return outcome if known else outcome.again(NOT_MAILCHIMP)
    if status == 403 and title is None:
        return replace(
            outcome,
            code=OutcomeCode.RATE_LIMITED,
            then=Then.RETRY,
            message="403 without a reason, as Mailchimp answers to very many requests",
        )
    if outcome.code is OutcomeCode.AUTH_FAILED:
        said = f"Mailchimp says {title}; {REFUSED}" if title else REFUSED
        return replace(outcome, message=f"{status}: {said}")
    if outcome.then is not Then.STOP or title is None:
        return outcome
    if status == 404:
        return replace(outcome, message=f"404: {_GONE[call]}")
    said = LEFT.get(title) or f"Mailchimp says {title}{_fields(found)}"
    return replace(outcome, message=f"{status}: {said}")


def explain(found: Mapping[str, Any]) -> Complaint:
    """Read the title as a code, and the first of the fields that were refused."""
    title, first = title_of(found), first_object(found.get("errors"))
    code = title.lower().replace(" ", "_") if title else None
    text = first.get("message") or LEFT.get(title or "") or found.get("detail")
    return Complaint.of(code, first.get("field"), text)


def _is_contact(found: Mapping[str, Any] | None) -> bool:
    return found is not None and all(isinstance(found.get(key), str) for key in ("id", "status"))


def _fields(found: Mapping[str, Any] | None) -> str:
    """Name the fields of ours that were refused, without what Mailchimp says of their values."""
    errors = (found or {}).get("errors")
    names = [
        one["field"]
        for one in (errors if isinstance(errors, list) else [])
        if isinstance(one, dict)
        and isinstance(one.get("field"), str)
        and _FIELD.fullmatch(one["field"])
    ]
    return f" of {', '.join(names[:5])}" if names else ""
