"""What Resend's answers mean, by the name of their error.

Source: "Errors" and "Idempotency keys" in the vendor's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from delivery.outcome import Outcome, OutcomeCode, Then
from destinations.complaint import Complaint, error_name

# The mails of a day or a month are used up. To ask again within minutes can't help; an hour is the
# longest wait between attempts.
QUOTA = frozenset({"daily_quota_exceeded", "monthly_quota_exceeded"})
QUOTA_RETRY_SECONDS = "3600"

# Another key heals these.
KEY_REFUSED = frozenset({"missing_api_key", "invalid_api_key", "restricted_api_key"})
# A wrong key can also be answered with 400 and a name that it shares with other errors.
KEY_INVALID = "API key is invalid"
SEND_ONLY = "restricted_api_key"

SENT_BEFORE = "invalid_idempotent_request"
IN_PROGRESS = "concurrent_idempotent_requests"

# Texts name a field as "Missing `to` field." does.
_FIELD = re.compile(r"`(\w+)`")


def judge(outcome: Outcome, answer: Mapping[str, Any] | None) -> Outcome:
    """Correct the outcome by what the answer says; it is None for anything but a JSON object."""
    status = outcome.status_code
    if answer is None:
        if outcome.then is not Then.DONE:
            return outcome
        return outcome.again("not an answer of Resend's, so it may not be accepted")
    if outcome.then is Then.DONE or (error := error_of(answer)) is None:
        return outcome
    said = replace(outcome, message=f"{status}: Resend says {error}")
    if status == 429:
        return replace(said, retry_after=QUOTA_RETRY_SECONDS) if error in QUOTA else said
    if error in KEY_REFUSED or status == 401 or _says_key_is_invalid(answer):
        return replace(said, code=OutcomeCode.AUTH_FAILED, then=Then.HOLD)
    if error == IN_PROGRESS:
        return outcome.again(f"Resend says {error}")
    if error == SENT_BEFORE:
        return replace(
            said,
            message=f"{status}: this mail was accepted within the last 24 hours with another "
            "content, so it is not sent again",
        )
    if said.then is Then.HOLD:
        # A 403 about the mail, such as one from a domain that isn't verified.
        return replace(said, code=OutcomeCode.REJECTED_CLIENT_ERROR, then=Then.STOP)
    return said


def judge_creation(outcome: Outcome) -> Outcome:
    """Correct the outcome of creating a contact that did not exist a moment ago."""
    if outcome.status_code != 409:
        return outcome
    return outcome.again("the contact exists by now, so the next attempt updates it")


def error_of(answer: Mapping[str, Any]) -> str | None:
    """Return the name of the error, never other text; None if it has none."""
    return error_name(answer.get("name"))


def explain(answer: Mapping[str, Any]) -> Complaint:
    text = answer.get("message")
    named = _FIELD.search(text) if isinstance(text, str) else None
    return Complaint.of(error_of(answer), named and named[1], text)


def _says_key_is_invalid(answer: Mapping[str, Any]) -> bool:
    return str(answer.get("message", "")).rstrip(".") == KEY_INVALID
