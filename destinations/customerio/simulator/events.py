"""The events of one workspace, each stored once. A visitor's are held until they are claimed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import JsonValue

from destinations.customerio.simulator.person import Person

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE)


@dataclass(eq=False)
class StoredEvent:
    """A stored event. `person` is None while it is held for a visitor."""

    name: str
    region: str
    properties: dict[str, JsonValue]
    timestamp: datetime
    message_id: str | None
    anonymous_id: str | None
    person: Person | None

    @property
    def held(self) -> bool:
        return self.person is None

    def as_json(self) -> dict[str, JsonValue]:
        return {
            "name": self.name,
            "region": self.region,
            "properties": self.properties,
            "timestamp": self.timestamp.isoformat(),
            "message_id": self.message_id,
            "anonymous_id": self.anonymous_id,
            "person": self.person.cio_id if self.person else None,
            "held": self.held,
        }


class Events:
    def __init__(self) -> None:
        self._events: list[StoredEvent] = []
        self._held: dict[str, list[StoredEvent]] = {}
        self._seen: set[str] = set()

    def __iter__(self) -> Iterator[StoredEvent]:
        return iter(self._events)

    def store(self, event: StoredEvent, *, dedupe: Literal["ulid", "any", "off"]) -> bool:
        """Store it; return False if an event with the same `messageId` was stored before."""
        id = event.message_id
        if id and (dedupe == "any" or (dedupe == "ulid" and is_ulid(id))):
            if id in self._seen:
                return False
            self._seen.add(id)
        self._events.append(event)
        if event.held and event.anonymous_id:
            self._held.setdefault(event.anonymous_id, []).append(event)
        return True

    def attach(self, anonymous_id: str, person: Person) -> None:
        """Give a visitor's held events to the person that the visitor turned out to be."""
        for event in self._held.pop(anonymous_id, ()):
            event.person = person

    def move(self, merged: Person, into: Person) -> None:
        """Give the events of a person who was merged to the one who is left."""
        for event in self._events:
            if event.person is merged:
                event.person = into


def is_ulid(text: str) -> bool:
    return _ULID.fullmatch(text) is not None
