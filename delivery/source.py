"""The source of an event, as its start input names it: a backend, unless it says otherwise.

A source can only narrow what is allowed: whoever may start workflows may do what a backend may.
"""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from delivery.frozen_model import FrozenModel

# The feature of workers that respect an event's source, see `delivery.capabilities`.
EVENT_SOURCE = "event_source"


class Source(FrozenModel):
    """A publishable key: it is public, so anyone may have sent the event.

    If `identify` is `anonymous`, the event must not name a person, by id or by e-mail.
    """

    kind: Literal["publishable"] = "publishable"
    key: str | None = None
    identify: Literal["any", "anonymous"] = "any"


def read_source(value: JsonValue) -> Source | None:
    """Read the field; a value that names no publishable key is the sender's own and is ignored.

    An `identify` that this release doesn't know is read as the narrowest.
    """
    if not isinstance(value, dict) or value.get("kind") != "publishable":
        return None
    key = value.get("key")
    return Source(
        key=key if isinstance(key, str) else None,
        identify="any" if value.get("identify", "any") == "any" else "anonymous",
    )
