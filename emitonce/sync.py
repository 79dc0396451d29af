"""`Emitter` for code without an event loop, such as Django's and Celery's.

    emitter = SyncEmitter()
    event = emitter.emit(workspace, "user.signup", {"userId": "usr_2048"})

Temporal's client needs an event loop: one runs in a thread of its own, begun with the first event.
"""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import Coroutine, Mapping
from datetime import datetime
from typing import Any, TypeVar

from emitonce.emitter import Emitter, EventHandle
from emitonce.errors import NotAccepted

T = TypeVar("T")

TIMEOUT_SECONDS = 10.0


class SyncEmitter:
    """Blocking; one for a process. Threads may share it, and processes forked from it connect
    anew: a connection to Temporal can't be used by two."""

    def __init__(self, *, timeout: float = TIMEOUT_SECONDS, **connect: Any) -> None:
        """Connect with the first event; `connect` is what `Emitter.connect` takes.

        `timeout` in seconds is how long one event may take to be accepted.
        """
        self._timeout, self._connect = timeout, connect
        self._lock = threading.Lock()
        self._process = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._emitter: Emitter | None = None

    def emit(
        self,
        workspace: str | uuid.UUID,
        event: str,
        payload: Mapping[str, Any],
        *,
        resource: str = "global",
        resource_id: str | None = None,
        timestamp: datetime | str | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """Accept one event and return its id; see `Emitter.emit` for what it takes and raises.

        Raises:
            NotAccepted: also when it took longer than the timeout. It may have been stored all the
                same: emit it again with the same idempotency key.
        """
        handle: EventHandle = self._run(
            self._connected().emit(
                workspace,
                event,
                payload,
                resource=resource,
                resource_id=resource_id,
                timestamp=timestamp,
                idempotency_key=idempotency_key,
            )
        )
        return handle.id

    def close(self) -> None:
        """End the thread. A later event begins anew."""
        with self._lock:
            if self._loop and self._thread and self._process == os.getpid():
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join(self._timeout)
            self._loop = self._thread = self._emitter = None

    def _connected(self) -> Emitter:
        with self._lock:
            if self._emitter is None or self._process != os.getpid():
                self._process = os.getpid()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run_forever, args=(self._loop,), name="emitonce", daemon=True
                )
                self._thread.start()
                self._emitter = self._run(Emitter.connect(**self._connect))
            return self._emitter

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result(self._timeout)
        except TimeoutError:
            running.cancel()
            raise NotAccepted(f"Temporal did not answer within {self._timeout:g} s") from None


def _run_forever(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()
