"""Build one message from event × rule: the event in an envelope. Nothing random, no clock."""

from __future__ import annotations

from delivery.event import Event
from delivery.message import Message, Messages
from delivery.rule import MatchedRule
from delivery.timestamps import epoch_milliseconds
from destinations.anonymous import check_anonymous
from destinations.message_id import message_uuid


def build(event: Event, rule: MatchedRule) -> Messages:
    """Build the message. Deterministic: the same input gives the same bytes.

    Meshes documents the fields up to `time_created` (milliseconds since 1970); the others are ours.
    Meshes' `time_sent` would differ between attempts; the header `webhook-timestamp` has it.

    Raises:
        MappingError: the event names a person, but its key is for anonymous visitors only.
    """
    check_anonymous(event, rule)
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
    """Make the same id on every attempt and redelivery, so that receivers can drop repetitions."""
    return f"msg_{message_uuid(event, rule, 'send')}"
