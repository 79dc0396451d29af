"""Several events at a time, each accepted or refused by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from emitonce.accepted import AcceptedEvent
from emitonce.errors import EmitError, InvalidSetup, NotAccepted
from emitonce.event import NewEvent

AT_ONCE = 10

Result = AcceptedEvent | EmitError


class _Halt:
    """The first error that says that no event can be accepted now."""

    def __init__(self) -> None:
        self.error: EmitError | None = None

    def noting(self, error: EmitError) -> EmitError:
        if self.error is None and isinstance(error, NotAccepted | InvalidSetup):
            self.error = error
        return error


def emit_each(
    emit: Callable[[NewEvent], AcceptedEvent],
    events: Iterable[NewEvent],
    *,
    at_once: int = AT_ONCE,
) -> list[Result]:
    """In threads. What `emit` raises beside `EmitError` is raised here, too."""
    halt = _Halt()

    def one(event: NewEvent) -> Result:
        if halt.error is not None:
            return halt.error
        try:
            return emit(event)
        except EmitError as err:
            return halt.noting(err)

    with ThreadPoolExecutor(at_once, thread_name_prefix="emitonce") as threads:
        return list(threads.map(one, events))


async def emit_each_async(
    emit: Callable[[NewEvent], Awaitable[AcceptedEvent]], events: Iterable[NewEvent]
) -> list[Result]:
    """On an event loop. What `emit` raises beside `EmitError` is raised here, too."""
    halt, room = _Halt(), asyncio.Semaphore(AT_ONCE)

    async def one(event: NewEvent) -> Result:
        async with room:
            if halt.error is not None:
                return halt.error
            try:
                return await emit(event)
            except EmitError as err:
                return halt.noting(err)

    return list(await asyncio.gather(*(one(event) for event in events)))
