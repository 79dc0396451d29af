"""One call's body, read and checked as strict mode does, and whom it is about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NoReturn

from pydantic import JsonValue

CALLS = ("identify", "track", "page", "screen", "group", "alias", "batch")

_STRINGS = (
    "userId",
    "anonymousId",
    "previousId",
    "groupId",
    "event",
    "name",
    "messageId",
    "timestamp",
    "sentAt",
)
_OBJECTS = ("traits", "properties", "context", "integrations")

CIO_PREFIX = "cio_"

# The semantic events that the API reference describes by their properties, without a person.
_ABOUT_NOBODY = ("Report Delivery Event", "Report Content Event")


class InvalidCall(ValueError):
    """Strict mode answers it with 400; otherwise it is dropped behind a 200."""


@dataclass(frozen=True)
class CallBody:
    """A call. Blank ids are absent; others are as they were sent: only event names are trimmed.

    `timestamp` is None if it isn't given.
    """

    user_id: str | None
    anonymous_id: str | None
    traits: dict[str, JsonValue]
    event: str
    properties: dict[str, JsonValue]
    timestamp: datetime | None
    message_id: str | None

    @property
    def email(self) -> str | None:
        return _id(self.traits.get("email"))


@dataclass(frozen=True)
class Identifier:
    """An identifier of a person. E-mails are in lower case; ids are case-sensitive."""

    kind: Literal["cio_id", "email", "id"]
    value: str


def parse_body(raw: bytes) -> dict[str, JsonValue]:
    """Read one JSON object. Raises `InvalidCall` for anything else."""
    try:
        value = json.loads(raw.decode(), parse_constant=_no_constant)
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise InvalidCall("request body is not valid JSON") from None
    if not isinstance(value, dict):
        raise InvalidCall("request body must be a JSON object")
    return value


def read_call(call: str, body: dict[str, JsonValue]) -> CallBody:
    """Read a call. Raises `InvalidCall` for wrong types, and if a required field is missing."""
    if body.get("type", call) != call:
        raise InvalidCall(f"type must be {call}")
    for name in _STRINGS:
        if not isinstance(body.get(name), str | None):
            raise InvalidCall(f"{name} must be a string")
    for name in _OBJECTS:
        if not isinstance(body.get(name), dict | None):
            raise InvalidCall(f"{name} must be an object")
    read = CallBody(
        user_id=_id(body.get("userId")),
        anonymous_id=_id(body.get("anonymousId")),
        traits=_object(body.get("traits")),
        event=_text(body.get("event")),
        properties=_object(body.get("properties")),
        timestamp=_timestamp(_text(body.get("timestamp"))),
        message_id=_text(body.get("messageId")) or None,
    )
    _require(call, read, body)
    return read


def identifier(call: CallBody) -> Identifier | None:
    """Find whom a call is about, in the order in which the vendor's destination resolves it.

    None for a visitor, known only by `anonymousId`.
    """
    if call.user_id:
        if call.user_id.startswith(CIO_PREFIX):
            return Identifier("cio_id", call.user_id.removeprefix(CIO_PREFIX))
        if is_email(call.user_id):
            return Identifier("email", call.user_id.lower())
        return Identifier("id", call.user_id)
    if call.email:
        return Identifier("email", call.email.lower())
    return None


def is_email(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return bool(local) and "." in domain.strip(".") and not any(map(str.isspace, text))


def _require(call: str, read: CallBody, body: dict[str, JsonValue]) -> None:
    known = bool(read.user_id or read.anonymous_id)
    match call:
        case "alias":
            if not (read.user_id and _id(body.get("previousId"))):
                raise InvalidCall("previousId and userId are required")
        case "group":
            # Neither a person nor a group is required; the types were checked.
            if not isinstance(read.traits.get("relationshipAttributes"), dict | None):
                raise InvalidCall("traits.relationshipAttributes must be an object")
        case "page" | "screen":
            if not known:
                raise InvalidCall("userId or anonymousId is required")
        case "track" if read.event in _ABOUT_NOBODY:
            if "properties" not in body:
                raise InvalidCall("properties is required")
        case _:
            if not (known or read.email or (call == "track" and _id(body.get("groupId")))):
                raise InvalidCall("userId, anonymousId or traits.email is required")
            if call == "track" and not read.event:
                raise InvalidCall("event is required")


def _id(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


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
