"""Build a contact with its status, then an event of it. Nothing random, no clock.

A message has beside its body what is part of the request's address: the audience, and for an event
the contact.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, JsonValue

from delivery.errors import MappingError
from delivery.event import Event
from delivery.mapping import map_fields
from delivery.mapping_schema import same_names
from delivery.message import Message, Messages
from delivery.rule import MatchedRule, RuleMetadata
from delivery.timestamps import iso_milliseconds
from delivery.transforms import is_blank
from destinations.anonymous import check_known
from destinations.email_address import read_email
from destinations.event_name import name_of
from destinations.mailchimp.guards import (
    check_ip,
    event_properties,
    merge_fields,
    read_audience,
    read_event_name,
    read_event_properties,
)

EMAIL, SIGNUP_IP = "email", "ip_signup"
# Without a stored mapping, payload keys of the same names fill these.
MAPPED_FIELDS = (EMAIL, SIGNUP_IP)
DEFAULT_MAPPING = same_names(MAPPED_FIELDS)

Audience = Annotated[str, AfterValidator(read_audience)]


class ChangeStatus(RuleMetadata):
    """`id` is the audience."""

    id: Audience


class TrackEvent(RuleMetadata):
    """`id` is the audience. `event_properties` are the payload keys that become its properties.

    `event_name_override` replaces the event's name, and `status_if_new` is the status of a contact
    that isn't in the audience yet.
    """

    id: Audience
    event_name_override: str | None = None
    event_properties: Annotated[str, AfterValidator(read_event_properties)] = ""
    status_if_new: Literal["transactional", "subscribed", "pending"] = "transactional"


def build_addition(event: Event, rule: MatchedRule) -> Messages:
    """Build identify. Deterministic, as the others are. Raises `MappingError`."""
    return _status(event, rule, "subscribed")


def build_removal(event: Event, rule: MatchedRule) -> Messages:
    return _status(event, rule, "unsubscribed")


def build_event(event: Event, rule: MatchedRule) -> Messages:
    """Build identify, which leaves the status of a known contact as it is, and track."""
    metadata = TrackEvent.of(rule)
    try:
        name = read_event_name(name_of(event, metadata.event_name_override))
    except ValueError as err:
        raise MappingError("event name", f"{err}; set an event_name_override") from None
    email, messages = _contact(event, rule, metadata.id, {"status_if_new": metadata.status_if_new})
    occurrence: dict[str, JsonValue] = {
        "name": name,
        "properties": event_properties(metadata.event_properties, event.payload),
        "occurred_at": iso_milliseconds(event.timestamp),
    }
    return messages.then(
        "track", {"list_id": metadata.id, "email_address": email, "event": occurrence}
    )


def _status(event: Event, rule: MatchedRule, status: str) -> Messages:
    audience = ChangeStatus.of(rule).id
    _, messages = _contact(event, rule, audience, {"status_if_new": status, "status": status})
    return messages


def _contact(
    event: Event, rule: MatchedRule, audience: str, status: dict[str, JsonValue]
) -> tuple[str, Messages]:
    """Return the address by which the contact is found, and only identify."""
    check_known(rule, "Mailchimp")
    mapped = map_fields(rule.mapping or DEFAULT_MAPPING, event.payload)
    email = read_email(mapped.values.pop(EMAIL, None), "Mailchimp")
    member: dict[str, JsonValue] = {"email_address": email, **status}
    ip = mapped.values.pop(SIGNUP_IP, None)
    if ip is not None and not is_blank(ip):
        member[SIGNUP_IP] = check_ip(ip)
    if mapped.values:
        member["merge_fields"] = merge_fields(mapped.values)
    identify = Message(call="identify", body={"list_id": audience, "member": member})
    return email, Messages(messages=(identify,), warnings=mapped.warnings)
