"""Event × rule → one message: the event in an envelope. Nothing random, nothing from a clock."""

from __future__ import annotations

import uuid

from delivery.errors import MappingError
from delivery.event import Event
from delivery.message import Message, Messages
from delivery.rule import MatchedRule
from delivery.timestamps import epoch_milliseconds
from delivery.transforms import is_blank

NAMING = ("userid", "email")


def build(event: Event, rule: MatchedRule) -> Messages:
    """Build the message. Deterministic: the same input gives the same bytes.

    Of its fields, Meshes documents those up to `time_created` (milliseconds since 1970); the others
    are ours. `time_sent`, which Meshes has too, would differ from attempt to attempt; it is the
    header `webhook-timestamp`.

    Raises:
        MappingError: the event came with a key for anonymous visitors only and names a person.
    """
    if rule.anonymous_only:
        _check_anonymous(event)
    return Messages(
        messages=(
            Message(
                call="send",
                body={
                    "uuid": event.id,
                    "event": event.event,
                    "resource": event.resource,
                    "resource_id": event.resource_id,
                    "payload": event.payload,
                    "time_created": epoch_milliseconds(event.timestamp),
                    "workspace": event.workspace,
                    "rule": rule.id,
                    "message_id": message_id(event, rule),
                    "hops": event.hops + 1,
                },
            ),
        )
    )


def message_id(event: Event, rule: MatchedRule) -> str:
    """The same on every attempt and redelivery, so that a receiver can drop a repetition."""
    return f"msg_{uuid.uuid5(uuid.UUID(event.id), f'{rule.id}/send')}"


def _check_anonymous(event: Event) -> None:
    for name, value in event.payload.items():
        if name.strip().lower() in NAMING and value is not None and not is_blank(value):
            raise MappingError(
                name.strip(),
                "names a person, but the key that the event came with is for anonymous visitors "
                "only; emit events about known people from a backend",
            )
