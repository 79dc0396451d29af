"""Event × rule → the two requests, or a mapping error. Nothing random, nothing from a clock."""

from __future__ import annotations

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.event import Event
from delivery.guards import MAX_BODY, body_fault, check_event_name
from delivery.identity import Identity, resolve_identity
from delivery.labels import kind, utf8_size
from delivery.mapping import Mapped, map_fields
from delivery.mapping_schema import DEFAULT_MAPPING
from delivery.message import Message, MessagePair, encode_value
from delivery.message_id import message_id
from delivery.moments import iso_milliseconds
from delivery.rule import MatchedRule
from delivery.traits import collect_traits, without_largest
from delivery.transforms import is_blank, to_string

VERSION = "0.1.0"
CONTEXT: dict[str, JsonValue] = {"library": {"name": "emitonce", "version": VERSION}}

MAX_WARNINGS = 20

ANONYMOUS = (
    "no userId and no email: Customer.io keeps the event for an anonymous visitor and ignores the "
    "traits"
)


def build_messages(event: Event, rule: MatchedRule) -> MessagePair:
    """Both messages of one delivery, the same bytes each time they are built.

    Raises:
        MappingError: no valid message can be built; names field, limit and remedy.
    """
    mapped = map_fields(rule.mapping or DEFAULT_MAPPING, event.payload)
    identity = resolve_identity(mapped.values, event_id=event.id, rule_id=rule.id)
    name = _event_name(event, rule, mapped)
    check_event_name(name, allow_commands=rule.metadata.allow_commands)
    traits, left_out = collect_traits(event.payload, mapped, identity, rule.metadata)
    warnings = [*mapped.warnings, *left_out]
    identify = _identify(event, rule, identity, traits)
    excess = len(identify.encode()) - MAX_BODY
    if excess > 0:
        if rule.metadata.on_limit != "drop":
            raise body_fault("identify", excess + MAX_BODY)
        traits, dropped = without_largest(traits, _sizes(traits), excess, keep=("email",))
        warnings += dropped
        identify = _identify(event, rule, identity, traits)
    track = _track(event, rule, identity, name)
    for message in (identify, track):
        if (size := len(message.encode())) > MAX_BODY:
            raise body_fault(message.call, size)
    if identity.user_id is None:
        warnings.append(ANONYMOUS)
    return MessagePair(identify=identify, track=track, warnings=_bounded(warnings))


def _identify(
    event: Event, rule: MatchedRule, identity: Identity, traits: dict[str, JsonValue]
) -> Message:
    return Message(
        call="identify",
        body={
            **identity.fields,
            "traits": traits,
            "timestamp": iso_milliseconds(event.timestamp),
            "messageId": message_id(event.id, rule.id, "identify", event.timestamp),
            "context": CONTEXT,
        },
    )


def _track(event: Event, rule: MatchedRule, identity: Identity, name: str) -> Message:
    return Message(
        call="track",
        body={
            **identity.fields,
            "event": name,
            "timestamp": iso_milliseconds(event.timestamp),
            "messageId": message_id(event.id, rule.id, "track", event.timestamp),
            "context": CONTEXT,
        },
    )


def _event_name(event: Event, rule: MatchedRule, mapped: Mapped) -> str:
    """The rule's own override, else the mapping's, else the event's name."""
    override: JsonValue = rule.metadata.event_name_override
    if override is None or is_blank(override):
        override = mapped.values.get("event_name_override")
    if override is None or is_blank(override):
        return event.event
    if isinstance(override, bool | dict | list):
        raise MappingError("event_name_override", f"is {kind(override)}; it must be a string")
    return to_string(override)


def _sizes(traits: dict[str, JsonValue]) -> dict[str, int]:
    """Bytes that each takes in the body: name, value, colon and comma."""
    return {
        name: utf8_size(encode_value(name)) + utf8_size(encode_value(value)) + 2
        for name, value in traits.items()
    }


def _bounded(warnings: list[str]) -> tuple[str, ...]:
    if len(warnings) <= MAX_WARNINGS:
        return tuple(warnings)
    more = len(warnings) - MAX_WARNINGS + 1
    return (*warnings[: MAX_WARNINGS - 1], f"and {more} more warnings")
