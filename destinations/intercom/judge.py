"""What Intercom's answers mean, by the code of their error.

Sources: "Error codes", "Rate limiting", the description of the API, and the vendor's Ruby client
(what the codes about a token mean). That the text of a 409 names the contact that exists is known
from answers that others have published.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from delivery.outcome import InactiveReason, Outcome, OutcomeCode, Then
from destinations.complaint import Complaint, error_name, first_object

# What a request was for: a contact's look-up, creation or update, a tag put on or off, an event.
Purpose = Literal["look_up", "create", "update", "tag", "untag", "event"]

REFUSED = (
    "Intercom refuses the token: it is wrong, revoked, lacks a permission, or of another region"
)
# Codes that say more about a token than that it is wrong; the second one, that its app was deleted.
REFUSED_FOR: Mapping[str, InactiveReason] = {
    "token_revoked": "oauth_authorization_revoked",
    "token_suspended": "oauth_authorization_revoked",
}
NOT_INTERCOM = "not an answer of Intercom's, so it may have had no effect"
NOT_FOUND_YET = "the contact was not found yet"

# Type of the object that an accepted request is answered with.
_TYPES = {"create": "contact", "update": "contact", "tag": "tag", "untag": "tag"}
_CLASHES: Mapping[Purpose, str] = {
    "update": "another contact has this e-mail address or external id; merge the two at Intercom",
    "event": "several contacts have this e-mail address; map external_id, which names one",
}
_EXISTING = re.compile(r"\bid=([A-Za-z0-9_-]{1,64})\b")


def code_of(found: Mapping[str, Any] | None) -> str | None:
    """Return the first error's code, never other text; None if the answer has none."""
    return error_name(first_object((found or {}).get("errors")).get("code"))


def existing_id(found: Mapping[str, Any] | None) -> str | None:
    """Return the id of the contact that a 409 says exists already."""
    named = _EXISTING.search(_text_of(found))
    return named and named[1]


def explain(found: Mapping[str, Any]) -> Complaint:
    first = first_object(found.get("errors"))
    return Complaint.of(code_of(found), first.get("field"), first.get("message"))


def judge(outcome: Outcome, found: Mapping[str, Any] | None, purpose: Purpose) -> Outcome:
    """Correct the outcome by what Intercom says; `found` is its JSON, if it is any."""
    status, code = outcome.status_code, code_of(found)
    if outcome.then is Then.DONE:
        known = status == 202 if purpose == "event" else _is_object(found, purpose)
        return outcome if known else outcome.again(NOT_INTERCOM)
    if outcome.code is OutcomeCode.AUTH_FAILED:
        said = f"Intercom says {code}; {REFUSED}" if code else REFUSED
        reason = REFUSED_FOR.get(code or "", outcome.inactive_reason)
        return replace(outcome, message=f"{status}: {said}", inactive_reason=reason)
    if code is None or outcome.then is not Then.STOP:
        return outcome
    if status == 404:
        return _missing(outcome, purpose)
    if status == 409 and purpose == "create":
        return _exists(outcome, found)
    if status == 409:
        return replace(outcome, message=f"409: {_CLASHES.get(purpose, 'Intercom says conflict')}")
    return replace(outcome, message=f"{status}: Intercom says {code}")


def _missing(outcome: Outcome, purpose: Purpose) -> Outcome:
    if purpose == "untag":
        return replace(
            outcome,
            code=OutcomeCode.DELIVERED,
            then=Then.DONE,
            message="404: the contact does not have this tag, so there is nothing to remove",
        )
    if purpose == "tag":
        return replace(outcome, message="404: there is no such tag; choose another in the rule")
    # Identify has just stored the contact, or it was deleted or merged after it was looked up.
    return outcome.again(NOT_FOUND_YET)


def _exists(outcome: Outcome, found: Mapping[str, Any] | None) -> Outcome:
    if "archived" in _text_of(found):
        told = "the contact is archived at Intercom; unarchive or delete it there"
        return replace(outcome, message=f"409: {told}")
    return outcome.again("the contact exists by now, so the next attempt updates it")


def _is_object(found: Mapping[str, Any] | None, purpose: Purpose) -> bool:
    return (
        found is not None
        and found.get("type") == _TYPES.get(purpose)
        and isinstance(found.get("id"), str)
    )


def _text_of(found: Mapping[str, Any] | None) -> str:
    text = first_object((found or {}).get("errors")).get("message")
    return text if isinstance(text, str) else ""
