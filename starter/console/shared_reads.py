"""What open pages ask for again and again, read once for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

LASTS_SECONDS = 1.0


class SharedReads:
    """Keeps what was read for a second: more open pages don't mean more reading."""

    def __init__(self) -> None:
        self._reads: dict[Hashable, tuple[float, asyncio.Task[Any]]] = {}

    async def read(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for the read of `key` that started within the last second, or start one."""
        now = time.monotonic()
        self._reads = {
            kept: (started, task)
            for kept, (started, task) in self._reads.items()
            if now - started < LASTS_SECONDS
        }
        if key not in self._reads:
            self._reads[key] = (now, asyncio.create_task(make()))
        # Whoever stops waiting doesn't stop it for the others.
        return await asyncio.shield(self._reads[key][1])
