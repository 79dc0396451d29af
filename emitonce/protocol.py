"""What every emitter has, whether it emits over HTTP or starts the workflow itself.

`HTTPEmitter` and `SyncEmitter` are `BlockingEmitter`s, `AsyncHTTPEmitter` and `Emitter` are
`AsyncEmitter`s, and `emitonce.testing` has a stand-in for either.
"""

from __future__ import annotations

import functools
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast

from emitonce.accepted import AcceptedEvent
from emitonce.errors import EmitError
from emitonce.event import NewEvent

Emit = TypeVar("Emit", bound=Callable[..., Any])


class BlockingEmitter(Protocol):
    """For code without an event loop."""

    def emit(
        self,
        event: str,
        payload: Mapping[str, Any],
        *,
        workspace: str | uuid.UUID | None = None,
        resource: str | None = "global",
        resource_id: str | None = None,
        timestamp: datetime | str | None = None,
        idempotency_key: str | None = None,
    ) -> AcceptedEvent:
        """Emit one event; when this returns, it is stored and will be delivered.

        `workspace` is needed where neither the emitter nor its key stands for one. `timestamp` is
        when it happened, with a time zone; now, when absent. The same `idempotency_key` and body
        give the same event for as long as it is kept.

        In `payload`, dates and times are written in ISO 8601, UUIDs and decimals as text, enums as
        their values.

        Raises:
            NotAccepted: it is not known to be stored. Emitting it again with the same idempotency
                key is safe.
            InvalidEvent: the event is refused; `IdempotencyConflict` when its key came with
                another body before.
            InvalidSetup: nothing can be accepted until URL, key, namespace or secret are right;
                `NotAllowed` when the key or token is refused.
        """

    def emit_many(self, events: Iterable[NewEvent]) -> list[AcceptedEvent | EmitError]:
        """Emit several, ten at a time; answers in their order with what `emit` returns or raises.

        After a `NotAccepted` or an `InvalidSetup` no further event is tried: it has the same error.
        """

    def close(self) -> None:
        """Close what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncEmitter(Protocol):
    """For an event loop; see `BlockingEmitter`."""

    async def emit(
        self,
        event: str,
        payload: Mapping[str, Any],
        *,
        workspace: str | uuid.UUID | None = None,
        resource: str | None = "global",
        resource_id: str | None = None,
        timestamp: datetime | str | None = None,
        idempotency_key: str | None = None,
    ) -> AcceptedEvent:
        """See `BlockingEmitter.emit`."""

    async def emit_many(self, events: Iterable[NewEvent]) -> list[AcceptedEvent | EmitError]:
        """See `BlockingEmitter.emit_many`."""

    async def aclose(self) -> None:
        """Close what is open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def workspace_may_be_first(emit: Emit) -> Emit:
    """Accept `emit(workspace, event, payload)`, the order of `Emitter` and `SyncEmitter` in 0.1."""

    @functools.wraps(emit)
    def ordered(self: Any, *given: Any, **fields: Any) -> Any:
        named = fields.keys() & {"event", "payload"}
        if len(given) + len(named) == 3 and "workspace" not in fields:
            warnings.warn(
                "emit(workspace, event, payload) is the order of 0.1: "
                "use emit(event, payload, workspace=…)",
                DeprecationWarning,
                stacklevel=2,
            )
            fields["workspace"], given = given[0], given[1:]
        return emit(self, *given, **fields)

    return cast(Emit, ordered)
