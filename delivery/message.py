"""The requests of a delivery, exactly as they are sent."""

from __future__ import annotations

import json

from pydantic import JsonValue

from delivery.attempt import Call
from delivery.values import JsonObject, Value


class Message(Value):
    """One request: the call and its JSON body. Bytes are the same on every attempt.

    `build` is the version of the builder that made it; recorded messages without one are of the
    first.
    """

    call: Call
    body: JsonObject
    build: int = 1

    def encode(self) -> bytes:
        """The body as sent: UTF-8 JSON without blanks, keys in the order they were built."""
        return encode_value(self.body).encode()


def encode_value(value: JsonValue) -> str:
    """Compact JSON, the only form in which values are sent and measured."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class Messages(Value):
    """All messages of one delivery in order, and what was left out or noticed on the way."""

    messages: tuple[Message, ...]
    warnings: tuple[str, ...] = ()

    def of(self, call: Call) -> Message | None:
        return next((message for message in self.messages if message.call == call), None)
