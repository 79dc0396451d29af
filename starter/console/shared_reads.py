"""What open pages ask for again and again, read once for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

LASTS_SECONDS = 1.0
# At most this many of one visitor's long reads run at once. They end even if nobody waits for them.
AT_ONCE = 4


class SharedReads:
    """Shares each read for a second, or for as long as it takes, so that more open pages don't cost
    more reads."""

    def __init__(self) -> None:
        self._reads: dict[Hashable, tuple[float, asyncio.Task[Any]]] = {}
        self._turns = WeakValueDictionary[str, asyncio.Semaphore]()

    async def read(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for the read of `key` that is under way or started within the last second, or start
        one. A caller that stops waiting doesn't stop it for the others.
        """
        now = time.monotonic()
        self._reads = {
            kept: (started, task)
            for kept, (started, task) in self._reads.items()
            if now - started < LASTS_SECONDS or not task.done()
        }
        if key not in self._reads:
            task = asyncio.create_task(make())
            task.add_done_callback(_notice_failure)
            self._reads[key] = (now, task)
        return await asyncio.shield(self._reads[key][1])

    def turn(self, visitor: str) -> asyncio.Semaphore:
        """Return a semaphore: a few of the visitor's reads run, and the others wait their turn."""
        return self._turns.setdefault(visitor, asyncio.Semaphore(AT_ONCE))


def _notice_failure(task: asyncio.Task[Any]) -> None:
    """Mark a failure as seen: it was raised where someone waited; asyncio need not report it."""
    if not task.cancelled():
        task.exception()
