"""`Emitter` for code without an event loop, such as Django's and Celery's.

    emitter = SyncEmitter()
    event = emitter.emit("user.signup", {"userId": "usr_2048"}, workspace=workspace)

Temporal's client needs an event loop: one runs in a thread of its own, started by the first event.
"""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import CancelledError
from datetime import datetime
from typing import Any, TypeVar

from emitonce.accepted import AcceptedEvent
from emitonce.emitter import Emitter
from emitonce.errors import EmitError, NotAccepted
from emitonce.event import NewEvent
from emitonce.many import emit_each_async
from emitonce.protocol import BlockingEmitter, workspace_may_be_first

T = TypeVar("T")

TIMEOUT_SECONDS = 10.0


class SyncEmitter(BlockingEmitter):
    """Blocking; one for a process. Threads may share it, and processes forked from it connect
    again: a connection to Temporal can't be used by two."""

    def __init__(self, *, timeout: float = TIMEOUT_SECONDS, **connect: Any) -> None:
        """Connect with the first event; `connect` is what `Emitter.connect` takes.

        `timeout` in seconds is how long one event may take to be accepted.
        """
        self._timeout, self._connect = timeout, connect
        self._lock = threading.Lock()
        self._line: _Line | None = None

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
        """See `BlockingEmitter.emit`.

        `NotAccepted` also when it took longer than the timeout. It may have been stored all the
        same: emit it again with the same idempotency key.
        """
        new = NewEvent(event, payload, workspace, resource, resource_id, timestamp, idempotency_key)
        return self._run(lambda line: line.emit(new))

    def emit_many(self, events: Iterable[NewEvent]) -> list[AcceptedEvent | EmitError]:
        """See `BlockingEmitter.emit_many`."""
        listed = list(events)  # here: a generator may reach for this thread's database
        return self._run(lambda line: emit_each_async(line.emit, listed))

    def close(self) -> None:
        """End the thread; what is under way there is not accepted. A later event starts another."""
        with self._lock:
            line, self._line = self._line, None
        if line is not None and line.process == os.getpid():
            line.close(self._timeout)

    def _run(self, work: Callable[[_Line], Coroutine[Any, Any, T]]) -> T:
        with self._lock:
            if self._line is None or self._line.process != os.getpid():
                self._line = _Line(self._timeout, self._connect)
            # Under the lock, so that nothing is handed to a loop that is being closed.
            running = asyncio.run_coroutine_threadsafe(work(self._line), self._line.loop)
        try:
            return running.result()
        except CancelledError:
            raise NotAccepted("the emitter was closed meanwhile") from None


class _Line:
    """One process's thread, event loop and connection."""

    def __init__(self, timeout: float, connect: Mapping[str, Any]) -> None:
        self.process = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._timeout, self._connect = timeout, connect
        self._connecting: asyncio.Task[Emitter] | None = None
        self._thread = threading.Thread(target=self._serve, name="emitonce", daemon=True)
        self._thread.start()

    async def emit(self, new: NewEvent) -> AcceptedEvent:
        try:
            async with asyncio.timeout(self._timeout):
                emitter = await self._connected()
                accepted = await emitter._emit(new)
        except TimeoutError:
            raise NotAccepted(f"Temporal did not answer within {self._timeout:g} s") from None
        return AcceptedEvent(accepted.id, accepted.event, accepted.workspace, accepted.created_at)

    async def _connected(self) -> Emitter:
        """One attempt at a time, whoever waits for it and for however long; then the next."""
        if self._connecting is None or _failed(self._connecting):
            self._connecting = self.loop.create_task(Emitter.connect(**self._connect))
            self._connecting.add_done_callback(_failed)  # so seen, though nobody may wait anymore
        return await asyncio.shield(self._connecting)

    def close(self, timeout: float) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout)

    def _serve(self) -> None:
        try:
            self.loop.run_forever()
            self.loop.run_until_complete(_cancel(asyncio.all_tasks(self.loop)))
        finally:
            self.loop.close()


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
