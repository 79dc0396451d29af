"""Where an event came from, as its start input says; without a word it is a backend's.

What is written there can only narrow: who may start workflows may do all that a backend may.
"""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from delivery.values import Value

# Known to workers that heed an event's source, see `delivery.capabilities`.
EVENT_SOURCE = "event_source"


class Source(Value):
    """A publishable key: public, so anybody may have sent the event.

    With `identify` of `anonymous` the event may name no person, neither by id nor by e-mail.
    """

    kind: Literal["publishable"] = "publishable"
    key: str | None = None
    identify: Literal["any", "anonymous"] = "any"


def read_source(value: JsonValue) -> Source | None:
    """Read the field; anything that speaks of no publishable key is a field of the sender's own.

    An `identify` that only a newer release knows is read as the narrowest.
    """
    if not isinstance(value, dict) or value.get("kind") != "publishable":
        return None
    key = value.get("key")
    return Source(
        key=key if isinstance(key, str) else None,
        identify="any" if value.get("identify", "any") == "any" else "anonymous",
    )
