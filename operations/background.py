"""Run background tasks for as long as a context is open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog
from temporalio.service import RPCError

from delivery.errors import Unavailable, Unreadable

log = structlog.get_logger("emitonce.background")


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator[None]:
    """Run `work`, which handles its own errors, until the context is left; cancel it then."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def repeated(
    work: Callable[[], Awaitable[None]], *, every_seconds: float, name: str, failing: str
) -> AsyncIterator[None]:
    """Do `work` again and again until the context is left.

    Any error is logged as `failing`, and the work is tried again the next time. The traceback is
    logged too, unless the catalog or Temporal can't answer.
    """

    async def repeat() -> None:
        while True:
            try:
                await work()
            except (Unavailable, Unreadable, RPCError) as err:
                log.warning(failing, reason=str(err))
            except Exception:
                log.exception(failing)
            await asyncio.sleep(every_seconds)

    async with in_background(repeat(), name=name):
        yield
