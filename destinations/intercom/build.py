"""Build a contact, then a tag or an event of it. Nothing random, no clock."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, JsonValue

from delivery.errors import MappingError
from delivery.event import Event
from delivery.mapping import map_fields
from delivery.mapping_schema import same_names
from delivery.message import Message, Messages
from delivery.rule import MatchedRule, RuleMetadata
from delivery.timestamps import epoch_milliseconds
from destinations.anonymous import check_known
from destinations.event_name import name_of
from destinations.intercom.guards import (
    attributes_of,
    email_of,
    event_metadata,
    external_id_of,
    read_event_name,
    read_metadata_keys,
    read_tag,
    text_of,
)

# Without a stored mapping, payload keys of the same names fill these; other mapped fields are
# custom attributes.
IDENTIFYING = ("external_id", "email")
NAMED = ("name", "phone")
DEFAULT_MAPPING = same_names((*IDENTIFYING, *NAMED))


class ChangeTag(RuleMetadata):
    """`id` is the tag."""

    id: Annotated[str, AfterValidator(read_tag)]


class TrackEvent(RuleMetadata):
    """`event_metadata` are the payload keys that become the event's metadata."""

    event_name_override: Annotated[str, AfterValidator(read_event_name)] | None = None
    event_metadata: Annotated[str, AfterValidator(read_metadata_keys)] = ""


def build_tagging(event: Event, rule: MatchedRule) -> Messages:
    """Build identify and track. Deterministic, as the others are. Raises `MappingError`."""
    return _change_tag(event, rule, "add")


def build_untagging(event: Event, rule: MatchedRule) -> Messages:
    return _change_tag(event, rule, "remove")


def build_event(event: Event, rule: MatchedRule) -> Messages:
    """Build identify and track. Intercom drops a second event of the same person, name and second.

    The event's own time makes that second, so every attempt and redelivery has the same one.
    """
    metadata = TrackEvent.of(rule)
    person, messages = _contact(event, rule)
    known = {"user_id": person["external_id"]} if "external_id" in person else person
    body: dict[str, JsonValue] = {
        "event_name": name_of(event, metadata.event_name_override),
        "created_at": epoch_milliseconds(event.timestamp) // 1_000,
        **known,
    }
    if details := event_metadata(metadata.event_metadata, event.payload):
        body["metadata"] = details
    return messages.then("track", body)


def _change_tag(event: Event, rule: MatchedRule, change: str) -> Messages:
    """Intercom tags a contact by its own id of it, which the client finds by the person's."""
    metadata = ChangeTag.of(rule)
    person, messages = _contact(event, rule)
    return messages.then("track", {**person, "tag": metadata.id, "change": change})


def _contact(event: Event, rule: MatchedRule) -> tuple[dict[str, JsonValue], Messages]:
    """Return what the contact is found by, and only identify.

    `unsubscribed_from_emails` is never sent, so nobody is subscribed again.
    """
    check_known(rule, "Intercom")
    mapped = map_fields(rule.mapping or DEFAULT_MAPPING, event.payload)
    values = dict(mapped.values)
    named: dict[str, JsonValue] = {
        "external_id": external_id_of(values.pop("external_id", None)),
        "email": email_of(values.pop("email", None)),
        **{name: text_of(name, values.pop(name, None)) for name in NAMED},
    }
    person = {name: named[name] for name in IDENTIFYING if named[name] is not None}
    if not person:
        raise MappingError(
            "email",
            "and external_id have no value, and Intercom finds people by them; map one of the two",
        )
    body: dict[str, JsonValue] = {"role": "user"}
    body |= {name: value for name, value in named.items() if value is not None}
    if attributes := attributes_of(values):
        body["custom_attributes"] = attributes
    return person, Messages(
        messages=(Message(call="identify", body=body),), warnings=mapped.warnings
    )
