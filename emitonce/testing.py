"""Stand-ins for the emitters, for tests of code that emits.

    def test_an_order_is_announced(fake_emitter):
        create_order("usr_2048", emitter=fake_emitter)
        [event] = fake_emitter.events
        assert (event.event, event.payload["userId"]) == ("order.created", "usr_2048")

They refuse what the real ones refuse, make one event of what comes with the same idempotency key,
and can be made to fail. The fixtures `fake_emitter` and `async_fake_emitter` come with the package:
pytest finds them by itself.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

from emitonce.accepted import AcceptedEvent
from emitonce.errors import EmitError, IdempotencyConflict
from emitonce.event import NewEvent, check_idempotency_key, checked_fields, encode, own_workspace
from emitonce.many import emit_each
from emitonce.protocol import AsyncEmitter, BlockingEmitter, workspace_may_be_first

WORKSPACE = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class EmittedEvent(AcceptedEvent):
    """An event as the server would have stored it; `payload` is read back from its JSON."""

    payload: dict[str, Any]
    resource: str | None
    resource_id: str | None
    timestamp: str | None
    idempotency_key: str | None


class _Fake:
    """What both stand-ins have in common."""

    def __init__(self, *, workspace: str | uuid.UUID = WORKSPACE) -> None:
        """`workspace` is that of events which name none."""
        self.events: list[EmittedEvent] = []
        self._workspace = own_workspace(workspace)
        self._by_key: dict[tuple[str, str], tuple[bytes, EmittedEvent]] = {}
        self._errors: Iterator[EmitError] = iter(())
        self._stored = False

    def fail(self, error: EmitError, *, times: int | None = None, stored: bool = False) -> None:
        """Raise `error` the next so many times; None: until `recover`.

        With `stored`, the event is stored all the same, as when the answer was lost on its way.
        """
        self._errors = repeat(error) if times is None else repeat(error, times)
        self._stored = stored

    def recover(self) -> None:
        """Fail no more."""
        self._errors = iter(())

    def _accept(self, new: NewEvent) -> AcceptedEvent:
        fields = checked_fields(new, self._workspace)
        check_idempotency_key(new.idempotency_key, in_header=True)
        error = next(self._errors, None)
        if error is not None and not self._stored:
            raise error
        event = self._store(new.idempotency_key, fields)
        if error is not None:
            raise error
        return AcceptedEvent(event.id, event.event, event.workspace, event.created_at)

    def _store(self, key: str | None, fields: Mapping[str, Any]) -> EmittedEvent:
        body = encode(fields)
        workspace = str(fields["workspace"]).lower()
        if key is not None and (workspace, key) in self._by_key:
            first, event = self._by_key[workspace, key]
            if first != body:
                raise IdempotencyConflict(
                    f"this idempotency key already stands for event {event.id}, whose body "
                    "differs; use another key for another event"
                )
            return event
        stored = json.loads(body)
        event = EmittedEvent(
            id=str(uuid.uuid4()),
            event=stored["event"].strip(),
            workspace=workspace,
            created_at=datetime.now(UTC),
            payload=stored["payload"],
            resource=stored["resource"],
            resource_id=stored["resource_id"],
            timestamp=stored["timestamp"],
            idempotency_key=key,
        )
        self.events.append(event)
        if key is not None:
            self._by_key[workspace, key] = (body, event)
        return event


class FakeEmitter(_Fake, BlockingEmitter):
    """Stands in for `HTTPEmitter` and `SyncEmitter`. `events` are those stored, in their order."""

    @workspace_may_be_first
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
        """See `BlockingEmitter.emit`."""
        return self._accept(
            NewEvent(event, payload, workspace, resource, resource_id, timestamp, idempotency_key)
        )

    def emit_many(self, events: Iterable[NewEvent]) -> list[AcceptedEvent | EmitError]:
        """See `BlockingEmitter.emit_many`."""
        return emit_each(self._accept, events, at_once=1)

    def close(self) -> None:
        """Nothing is open."""


class AsyncFakeEmitter(_Fake, AsyncEmitter):
    """Stands in for `AsyncHTTPEmitter` and `Emitter`. `events` are those stored, in their order."""

    @workspace_may_be_first
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
        return self._accept(
            NewEvent(event, payload, workspace, resource, resource_id, timestamp, idempotency_key)
        )

    async def emit_many(self, events: Iterable[NewEvent]) -> list[AcceptedEvent | EmitError]:
        """See `BlockingEmitter.emit_many`."""
        return emit_each(self._accept, events, at_once=1)

    async def aclose(self) -> None:
        """Nothing is open."""
