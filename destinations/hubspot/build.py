"""Build a contact's upsert, then a membership or an event. Nothing random, no clock."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, JsonValue

from delivery.event import Event
from delivery.mapping import map_fields
from delivery.mapping_schema import same_names
from delivery.message import Message, Messages
from delivery.rule import MatchedRule, RuleMetadata
from delivery.timestamps import iso_milliseconds
from destinations.anonymous import check_known
from destinations.email_address import read_email
from destinations.hubspot.guards import (
    contact_properties,
    event_properties,
    read_event,
    read_event_properties,
    read_list,
    read_property,
    read_value,
)
from destinations.message_id import message_uuid

EMAIL = "email"
# Without a stored mapping, payload keys of the same names fill these.
MAPPED_FIELDS = (EMAIL, "firstname", "lastname", "phone", "company")
DEFAULT_MAPPING = same_names(MAPPED_FIELDS)


class Membership(RuleMetadata):
    """`id` is the list."""

    id: Annotated[str, AfterValidator(read_list)]


class UpdateProperty(RuleMetadata):
    """`id` is the property, which gets `value`."""

    id: Annotated[str, AfterValidator(read_property)]
    value: Annotated[str, AfterValidator(read_value)]


class TrackEvent(RuleMetadata):
    """`id` is the event. `event_properties` are the payload keys that become its properties."""

    id: Annotated[str, AfterValidator(read_event)]
    event_properties: Annotated[str, AfterValidator(read_event_properties)] = ""


def build_addition(event: Event, rule: MatchedRule) -> Messages:
    """Build identify and track. Deterministic, as the others are. Raises `MappingError`."""
    return _membership(event, rule, "add")


def build_removal(event: Event, rule: MatchedRule) -> Messages:
    return _membership(event, rule, "remove")


def build_update(event: Event, rule: MatchedRule) -> Messages:
    """Build identify, with the rule's property among the contact's."""
    metadata = UpdateProperty.of(rule)
    _, messages = _contact(event, rule, {metadata.id: metadata.value})
    return messages


def build_event(event: Event, rule: MatchedRule) -> Messages:
    """Build identify and track. HubSpot ignores an event whose `uuid` it had within a year."""
    metadata = TrackEvent.of(rule)
    email, messages = _contact(event, rule, {})
    return messages.then(
        "track",
        {
            "eventName": metadata.id,
            "email": email,
            "occurredAt": iso_milliseconds(event.timestamp),
            "properties": event_properties(metadata.event_properties, event.payload),
            "uuid": str(message_uuid(event, rule, "track")),
        },
    )


def _membership(event: Event, rule: MatchedRule, change: str) -> Messages:
    """HubSpot changes memberships by the contact's own id, which the client finds by `email`."""
    metadata = Membership.of(rule)
    email, messages = _contact(event, rule, {})
    return messages.then("track", {"email": email, "list": metadata.id, "change": change})


def _contact(event: Event, rule: MatchedRule, own: dict[str, JsonValue]) -> tuple[str, Messages]:
    """Return the address by which the contact is found, and only identify."""
    check_known(rule, "HubSpot")
    mapped = map_fields(rule.mapping or DEFAULT_MAPPING, event.payload)
    email = read_email(mapped.values.pop(EMAIL, None), "HubSpot")
    contact = {
        "id": email,
        "idProperty": EMAIL,
        "properties": contact_properties(mapped.values | own),
    }
    identify = Message(call="identify", body={"inputs": [contact]})
    return email, Messages(messages=(identify,), warnings=mapped.warnings)
