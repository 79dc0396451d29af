"""The requests of a delivery, exactly as they are sent."""

from __future__ import annotations

import json

from pydantic import JsonValue

from delivery.attempt import Call
from delivery.frozen_model import FrozenModel, JsonObject


class Message(FrozenModel):
    """One request: the call and its JSON body. Its bytes are the same on every attempt.

    `build` is the version of the builder that made it; a recorded message without one has 1.
    """

    call: Call
    body: JsonObject
    build: int = 1

    def encode(self) -> bytes:
        """Encode the body as it is sent: compact UTF-8 JSON, keys in the order they were built."""
        return encode_value(self.body).encode()


def encode_value(value: JsonValue) -> str:
    """Encode as compact JSON, the only form in which values are sent and measured."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class Messages(FrozenModel):
    """All messages of one delivery, in order, with warnings about what was left out of them."""

    messages: tuple[Message, ...]
    warnings: tuple[str, ...] = ()

    def of(self, call: Call) -> Message | None:
        return next((message for message in self.messages if message.call == call), None)

    def then(self, call: Call, body: JsonObject) -> Messages:
        """Add a message at the end."""
        message = Message(call=call, body=body)
        return self.model_copy(update={"messages": (*self.messages, message)})
