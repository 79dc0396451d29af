"""Emit a product event once; it reaches Customer.io durably, identify first, then track.

    emitter = await Emitter.connect()
    event = await emitter.emit(workspace, "user.signup", {"userId": "usr_2048", "plan": "pro"})
    await event.result()

An event is accepted once Temporal has stored its start: `emit` returns after that, and from then on
nothing is lost. What it raises is an `EmitError`.
"""

from emitonce.emitter import Emitter, EventHandle
from emitonce.errors import (
    CannotDecode,
    DeliveryFailed,
    EmitError,
    EventCanceled,
    EventNotFound,
    IdempotencyConflict,
    InvalidEvent,
    NotAccepted,
)

__all__ = [
    "CannotDecode",
    "DeliveryFailed",
    "EmitError",
    "Emitter",
    "EventCanceled",
    "EventHandle",
    "EventNotFound",
    "IdempotencyConflict",
    "InvalidEvent",
    "NotAccepted",
]
