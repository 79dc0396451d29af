"""The id of a message, for vendors and receivers that drop repetitions by one."""

from __future__ import annotations

import uuid

from delivery.attempt import Call
from delivery.event import Event
from delivery.rule import MatchedRule


def message_uuid(event: Event, rule: MatchedRule, call: Call) -> uuid.UUID:
    """Make the same id on every attempt and redelivery."""
    return uuid.uuid5(uuid.UUID(event.id), f"{rule.id}/{call}")
