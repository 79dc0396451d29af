"""One call's body, read and checked as strict mode does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from pydantic import JsonValue

CALLS = ("identify", "track", "page", "screen", "group", "alias", "batch")

_STRINGS = ("userId", "anonymousId", "event", "messageId", "timestamp", "sentAt")
_OBJECTS = ("traits", "properties", "context", "integrations")


class InvalidCall(Exception):
    """Strict mode answers it with 400; without, it vanishes behind a 200."""


@dataclass(frozen=True)
class CallBody:
    """Blank ids are absent. `timestamp` is None when not given."""

    user_id: str | None
    anonymous_id: str | None
    traits: dict[str, JsonValue]
    event: str
    properties: dict[str, JsonValue]
    timestamp: datetime | None
    message_id: str | None

    @property
    def email(self) -> str | None:
        email = self.traits.get("email")
        return email.strip() or None if isinstance(email, str) else None


def parse_body(raw: bytes) -> dict[str, JsonValue]:
    """Raises `InvalidCall` for anything but one JSON object."""
    try:
        value = json.loads(raw.decode(), parse_constant=_no_constant)
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise InvalidCall("request body is not valid JSON") from None
    if not isinstance(value, dict):
        raise InvalidCall("request body must be a JSON object")
    return value


def read_call(call: str, body: dict[str, JsonValue]) -> CallBody:
    """Raises `InvalidCall` for wrong types, a missing identity and a missing event name."""
    for name in _STRINGS:
        if not isinstance(body.get(name), str | None):
            raise InvalidCall(f"{name} must be a string")
    for name in _OBJECTS:
        if not isinstance(body.get(name), dict | None):
            raise InvalidCall(f"{name} must be an object")
    read = CallBody(
        user_id=_text(body.get("userId")) or None,
        anonymous_id=_text(body.get("anonymousId")) or None,
        traits=_object(body.get("traits")),
        event=_text(body.get("event")),
        properties=_object(body.get("properties")),
        timestamp=_timestamp(_text(body.get("timestamp"))),
        message_id=_text(body.get("messageId")) or None,
    )
    if not (read.user_id or read.anonymous_id or read.email):
        raise InvalidCall("userId, anonymousId or traits.email is required")
    if call == "track" and not read.event:
        raise InvalidCall("event is required")
    return read


def _text(value: JsonValue) -> str:
    return value.strip() if isinstance(value, str) else ""


def _object(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _timestamp(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidCall("timestamp must be an ISO 8601 date-time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)
