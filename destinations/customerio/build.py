"""Build identify and track from event × rule. Nothing random, nothing from a clock.

The version of the builder is recorded with the run; `builds` has everything in which versions
differ.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from pydantic import JsonValue

from delivery.attempt import Call
from delivery.capabilities import UnknownToThisRelease
from delivery.errors import MappingError
from delivery.event import Event
from delivery.mapping import Mapped, map_fields
from delivery.mapping_schema import same_names
from delivery.message import Message, Messages
from delivery.rule import MatchedRule
from delivery.text import kind
from delivery.timestamps import iso_milliseconds
from delivery.transforms import is_blank, to_string
from destinations.customerio.builds import BUILDS, Build
from destinations.customerio.guards import MAX_BODY, body_fault, check_event_name
from destinations.customerio.identity import Identity, check_anonymous, resolve_identity
from destinations.customerio.message_id import message_id
from destinations.customerio.metadata import MAPPED_FIELDS, TrackEvent
from destinations.customerio.misreadings import misreadings
from destinations.customerio.properties import NOT_YET, collect_properties
from destinations.customerio.traits import collect_traits, without_largest

MAX_WARNINGS = 20

Values = dict[str, JsonValue]

DEFAULT_MAPPING = same_names(MAPPED_FIELDS)

ANONYMOUS = (
    "no userId and no email: Customer.io keeps the event for an anonymous visitor and ignores the "
    "traits"
)


def build(event: Event, rule: MatchedRule) -> Messages:
    """Build identify and track. Deterministic: the same input gives the same bytes.

    A call that may have been sent before the event was redelivered is built as it was then; one
    that was never sent is built by the rule's build. Both always name the same person: if these two
    builds would name different people, both calls are built like the one that may have been sent.

    Raises:
        MappingError: no valid message can be built; names field, limit and remedy.
        UnknownToThisRelease: only a newer release knows the build.
    """
    earlier = event.redelivery.of(rule.id) if event.redelivery else None
    sent = earlier.builds if earlier else {}
    by_identify, by_track = sent.get("identify", rule.build), sent.get("track", rule.build)
    first = _build(event, rule, by_identify)
    if by_track == by_identify:
        return first
    second = _build(event, rule, by_track)
    identify, track = first.messages[0], second.messages[1]
    if _person(identify) != _person(track):
        return first if "identify" in sent else second
    return Messages(
        messages=(identify, track),
        warnings=_bounded(list(dict.fromkeys(first.warnings + second.warnings))),
    )


def _person(message: Message) -> tuple[JsonValue, JsonValue]:
    return message.body.get("userId"), message.body.get("anonymousId")


def _build(event: Event, rule: MatchedRule, number: int) -> Messages:
    if number not in BUILDS:
        raise UnknownToThisRelease(f"build {number} is known to a newer release only")
    build = BUILDS[number]
    metadata = TrackEvent.of(rule)
    mapping = rule.mapping or DEFAULT_MAPPING
    mapped = map_fields(mapping, event.payload)
    identity = resolve_identity(
        mapped.values, event_id=event.id, rule_id=rule.id, checked=build.checked
    )
    name = _event_name(event, metadata, mapped)
    check_event_name(name, allow_commands=metadata.allow_commands)
    traits, left_out = collect_traits(
        event.payload, mapped, identity, metadata, checked=build.checked
    )
    if rule.anonymous_only:
        check_anonymous(identity, traits)
    warnings = [*mapped.warnings, *identity.warnings, *left_out]
    drop = metadata.on_limit == "drop"

    def identify_with(traits: Values) -> Message:
        return _message(event, rule, build, identity, "identify", {"traits": traits})

    def track_with(properties: Values) -> Message:
        said: Values = {"properties": properties} if properties else {}
        return _message(event, rule, build, identity, "track", {"event": name, **said})

    identify, traits, dropped = _within_limit(identify_with, traits, drop=drop, keep=("email",))
    warnings += dropped
    properties: Values = {}
    if build.properties:
        properties, left_out = collect_properties(event.payload, mapping, metadata)
        warnings += left_out
    elif metadata.track_properties != "none":
        warnings.append(NOT_YET)
    track, _, dropped = _within_limit(track_with, properties, drop=drop)
    warnings += dropped
    if identity.user_id is None:
        warnings.append(ANONYMOUS)
    if build.checked:
        warnings += misreadings(identity, traits, name)
    return Messages(messages=(identify, track), warnings=_bounded(warnings))


def _within_limit(
    make: Callable[[Values], Message], values: Values, *, drop: bool, keep: Collection[str] = ()
) -> tuple[Message, Values, tuple[str, ...]]:
    """Return a call's message, the values in it, and a warning for each that had to be dropped.

    Raises:
        MappingError: the body is too large, and nothing may or can be dropped.
    """
    message = make(values)
    dropped: tuple[str, ...] = ()
    excess = len(message.encode()) - MAX_BODY
    if excess > 0 and drop:
        values, dropped = without_largest(values, excess, keep)
        message = make(values)
        excess = len(message.encode()) - MAX_BODY
    if excess > 0:
        raise body_fault(message.call, excess + MAX_BODY)
    return message, values, dropped


def _message(
    event: Event,
    rule: MatchedRule,
    build: Build,
    identity: Identity,
    call: Call,
    said: Mapping[str, JsonValue],
) -> Message:
    return Message(
        call=call,
        build=build.number,
        body={
            **identity.fields,
            **said,
            "timestamp": iso_milliseconds(event.timestamp),
            "messageId": message_id(event.id, rule.id, call, event.timestamp),
            "context": build.context,
        },
    )


def _event_name(event: Event, metadata: TrackEvent, mapped: Mapped) -> str:
    """Return the rule's own override, or else the mapping's, or else the event's name."""
    override: JsonValue = metadata.event_name_override
    if override is None or is_blank(override):
        override = mapped.values.get("event_name_override")
    if override is None or is_blank(override):
        return event.event
    if isinstance(override, bool | dict | list):
        raise MappingError("event_name_override", f"is {kind(override)}; it must be a string")
    return to_string(override)


def _bounded(warnings: list[str]) -> tuple[str, ...]:
    if len(warnings) <= MAX_WARNINGS:
        return tuple(warnings)
    more = len(warnings) - MAX_WARNINGS + 1
    return (*warnings[: MAX_WARNINGS - 1], f"and {more} more warnings")
