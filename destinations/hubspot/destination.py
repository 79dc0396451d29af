"""HubSpot as a destination: its data, and what its answers mean.

Sources: "Error handling", "Usage guidelines and limits", and the descriptions of the contacts,
lists and custom events APIs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from delivery.attempt import Call
from delivery.outcome import InactiveReason, Outcome, OutcomeCode, Then
from destinations.complaint import Complaint, error_name, first_object
from destinations.destination import Action, Destination, Field, MappingField
from destinations.email_address import MAX_EMAIL
from destinations.hubspot import build
from destinations.hubspot.guards import (
    MAX_VALUE,
    read_event,
    read_event_properties,
    read_list,
    read_property,
    read_value,
)
from destinations.token import read_token

TOKEN = "access_token"  # noqa: S105  a key, not a secret
LISTS, PROPERTIES, EVENTS = "lists", "properties", "events"

LONGEST_TOKEN = 512  # characters; those of OAuth may have 300

# Free and Starter accounts accept 100 requests in 10 seconds from a private app. A change of a
# membership reads the contact's id first, so it takes two.
REQUESTS_PER_SECOND = 5

# Seconds until a limit lets requests through again, where the answer doesn't say so.
WAITS = {"SECONDLY": "1", "TEN_SECONDLY_ROLLING": "10", "DAILY": "3600"}
# 409: another process is just creating the same contact. 423: locked while much is written, for two
# seconds at least. 477: the account is being moved to another data center.
TRY_AGAIN = frozenset({409, 423, 477})
# Categories of a 207's errors that pass; any other is permanent.
PASSING = frozenset({"CONFLICT", "INTERNAL_ERROR", "MIGRATION_IN_PROGRESS", "TIMEOUT"})
RATE_LIMITED = "RATE_LIMITS"
# Categories that say more about a token than that it is wrong.
REFUSED_FOR: Mapping[str, InactiveReason] = {
    "EXPIRED_AUTHENTICATION": "oauth_reauthorization_required",
    "MISSING_SCOPES": "oauth_reauthorization_required",
}

NOT_HUBSPOT = "not an answer of HubSpot's, so it may have had no effect"


def name_in(found: Mapping[str, Any] | None, key: str) -> str | None:
    """Return a category or policy by its name, never other text."""
    return error_name(found.get(key)) if isinstance(found, dict) else None


def judge(outcome: Outcome, found: Mapping[str, Any] | None, call: Call) -> Outcome:
    """Correct the outcome by what HubSpot says; `found` is its JSON, if it is any."""
    status = outcome.status_code
    if outcome.then is Then.DONE:
        return _accepted(outcome, found, call)
    if outcome.code is OutcomeCode.RATE_LIMITED:
        return _rate_limited(outcome, found)
    if outcome.code is OutcomeCode.AUTH_FAILED:
        return replace(
            outcome,
            message=f"{status}: {_said(found)}; {REFUSED}",
            inactive_reason=REFUSED_FOR.get(
                name_in(found, "category") or "", outcome.inactive_reason
            ),
        )
    if status in TRY_AGAIN:
        return outcome.again(f"{_said(found)}, which passes")
    if outcome.then is Then.STOP and name_in(found, "category"):
        return replace(outcome, message=f"{status}: {_said(found)}")
    return outcome


def _accepted(outcome: Outcome, found: Mapping[str, Any] | None, call: Call) -> Outcome:
    if call == "track":
        # 204 is the answer to an event, 200 with ids that to a membership.
        known = outcome.status_code == 204 or (found or {}).get("recordIdsMissing") is not None
        if not known:
            return outcome.again(NOT_HUBSPOT)
        if (found or {}).get("recordIdsMissing"):
            return outcome.again("the contact is not known to HubSpot's lists yet")
        return outcome
    if found is None or not isinstance(found.get("results"), list):
        return outcome.again(NOT_HUBSPOT)
    errors = found.get("errors")
    if found["results"] and not errors and not found.get("numErrors"):
        return outcome
    first = errors[0] if errors and isinstance(errors, list) else None
    category = name_in(first, "category")
    if category == RATE_LIMITED:
        limited = replace(outcome, code=OutcomeCode.RATE_LIMITED, then=Then.RETRY)
        return _rate_limited(limited, first)
    if category in PASSING:
        return outcome.again(f"{_said(first)}, which passes")
    return replace(
        outcome,
        code=OutcomeCode.REJECTED_CLIENT_ERROR,
        then=Then.STOP,
        message=f"{outcome.status_code}: the contact was not stored: {_said(first)}",
    )


def _rate_limited(outcome: Outcome, found: Mapping[str, Any] | None) -> Outcome:
    policy = name_in(found, "policyName")
    return replace(
        outcome,
        message=f"{outcome.status_code}: too many requests"
        + (f", by HubSpot's limit {policy}" if policy else ""),
        retry_after=outcome.retry_after or WAITS.get(policy or ""),
    )


def _said(found: Mapping[str, Any] | None) -> str:
    return f"HubSpot says {name_in(found, 'category') or 'no category'}"


def explain(found: Mapping[str, Any]) -> Complaint:
    """Read HubSpot's error, or the first of a batch that was stored in part, in its most detailed
    form.
    """
    error = found if "category" in found else first_object(found.get("errors"))
    detail = first_object(error.get("errors"))
    context = detail.get("context") or error.get("context")
    names = context.get("propertyName") if isinstance(context, dict) else None
    named = names[0] if isinstance(names, list) and names else detail.get("in")
    code = detail.get("code") or name_in(error, "category")
    return Complaint.of(code, named, detail.get("message") or error.get("message"))


REFUSED = "the token is wrong or revoked, or lacks a scope"
_LIST = Field(
    key="id",
    label="List",
    placeholder="5",
    help="Its id. Only static lists can be changed.",
    read=read_list,
    live=LISTS,
)

HUBSPOT = Destination(
    type="hubspot",
    label="HubSpot",
    client="destinations.hubspot.client:HubSpotClient",
    fields=(
        Field(
            key=TOKEN,
            label="Access token",
            kind="password",
            placeholder="pat-…",
            help="Of a private app; docs/hubspot.md has the scopes that it needs.",
            read=partial(read_token, longest=LONGEST_TOKEN),
        ),
    ),
    actions=(
        Action(
            key="add_to_list",
            label="Add to list",
            noun="List",
            description="Create or update the contact, then add it to a static list.",
            calls=("identify", "track"),
            build=build.build_addition,
            metadata=build.Membership,
            inputs=(_LIST,),
        ),
        Action(
            key="remove_from_list",
            label="Remove from list",
            noun="List",
            description="Create or update the contact, then remove it from a static list.",
            calls=("identify", "track"),
            build=build.build_removal,
            metadata=build.Membership,
            inputs=(_LIST,),
        ),
        Action(
            key="update_property",
            label="Update property",
            noun="Property",
            description="Create or update the contact, with this value of a property.",
            calls=("identify",),
            build=build.build_update,
            metadata=build.UpdateProperty,
            inputs=(
                Field(
                    key="id",
                    label="Property",
                    placeholder="lifecyclestage",
                    help="Its internal name.",
                    read=read_property,
                    live=PROPERTIES,
                ),
                Field(
                    key="value",
                    label="Value",
                    placeholder="customer",
                    help="Of a property with options, the internal name of one.",
                    read=read_value,
                ),
            ),
        ),
        Action(
            key="track_event",
            label="Track event",
            noun="Event",
            description="Create or update the contact, then record a custom event of it.",
            calls=("identify", "track"),
            build=build.build_event,
            metadata=build.TrackEvent,
            inputs=(
                Field(
                    key="id",
                    label="Event",
                    placeholder="pe1234567_signed_up",
                    help="Its internal name. The event has to be defined in HubSpot first.",
                    read=read_event,
                    live=EVENTS,
                    listed_only=True,
                ),
                Field(
                    key="event_properties",
                    label="Properties of the event",
                    required=False,
                    placeholder="plan, seats",
                    help="Keys of the payload, separated by commas, that HubSpot's event has too.",
                    read=read_event_properties,
                ),
            ),
        ),
    ),
    mapping_fields=(
        MappingField(
            key=build.EMAIL,
            label="E-mail address",
            description="Identifies the contact.",
            format="email",
            largest=MAX_EMAIL,
        ),
        *(
            MappingField(key=key, label=label, description="", largest=MAX_VALUE)
            for key, label in (
                ("firstname", "First name"),
                ("lastname", "Last name"),
                ("phone", "Phone number"),
                ("company", "Company"),
            )
        ),
    ),
    unmapped="No other keys of the payload are sent. Map them to properties by internal name.",
    requests_per_second=REQUESTS_PER_SECOND,
    account=TOKEN,
    refused=REFUSED,
    explain=explain,
    parts=("eventName", "list", "occurredAt", "properties"),
)
