"""Emit a product event once; it reaches Customer.io durably, identify first, then track.

Over HTTP, with the API's URL and a machine key (`EMITONCE_URL`, `EMITONCE_WORKSPACE` and what
`emitonce keys create machine` shows: `EMITONCE_ORGANIZATION`, `EMITONCE_ACCESS_KEY`,
`EMITONCE_SECRET_KEY`):

    event = HTTPEmitter().emit("user.signup", {"userId": "usr_2048", "plan": "pro"})

Or by starting the workflow itself, where the Temporal cluster is reached (`emitonce[temporal]`):

    emitter = await Emitter.connect()
    event = await emitter.emit("user.signup", {"userId": "usr_2048"}, workspace=workspace)
    await event.result()

An event is accepted once Temporal has stored its start: `emit` returns after that, and from then on
nothing is lost. What it raises is an `EmitError`. `HTTPEmitter`, `AsyncHTTPEmitter`, `Emitter` and
`SyncEmitter` have the same methods, and `emitonce.testing` has stand-ins for tests.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from emitonce.accepted import AcceptedEvent
from emitonce.errors import (
    CannotDecode,
    DeliveryFailed,
    EmitError,
    EventCanceled,
    EventNotFound,
    IdempotencyConflict,
    InvalidEvent,
    InvalidSetup,
    NotAccepted,
    NotAllowed,
)
from emitonce.event import NewEvent
from emitonce.machine_key import MachineKey
from emitonce.protocol import AsyncEmitter, BlockingEmitter
from emitonce.version import __version__

if TYPE_CHECKING:
    from emitonce.emitter import Emitter
    from emitonce.handle import EventHandle
    from emitonce.http import AsyncHTTPEmitter, HTTPEmitter
    from emitonce.sync import SyncEmitter

__all__ = [
    "AcceptedEvent",
    "AsyncEmitter",
    "AsyncHTTPEmitter",
    "BlockingEmitter",
    "CannotDecode",
    "DeliveryFailed",
    "EmitError",
    "Emitter",
    "EventCanceled",
    "EventHandle",
    "EventNotFound",
    "HTTPEmitter",
    "IdempotencyConflict",
    "InvalidEvent",
    "InvalidSetup",
    "MachineKey",
    "NewEvent",
    "NotAccepted",
    "NotAllowed",
    "SyncEmitter",
    "__version__",
]

# Loaded on first use: emitting over HTTP needs no Temporal SDK, and vice versa.
_HOMES = {
    "Emitter": "emitonce.emitter",
    "EventHandle": "emitonce.handle",
    "SyncEmitter": "emitonce.sync",
    "AsyncHTTPEmitter": "emitonce.http",
    "HTTPEmitter": "emitonce.http",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'emitonce' has no attribute {name!r}")
    try:
        return getattr(import_module(home), name)
    except ModuleNotFoundError as err:
        if err.name is None or err.name.partition(".")[0] not in ("temporalio", "cryptography"):
            raise
        raise ImportError(
            f"emitonce.{name} starts workflows itself, which needs {err.name}: install "
            "emitonce[temporal], or emit over HTTP with HTTPEmitter"
        ) from err
