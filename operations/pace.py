"""Limit how many operations start per second."""

from __future__ import annotations

import asyncio
import time


class Pace:
    """Limits operations per second: await it before each operation. The first starts at once."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._next = time.monotonic()

    async def __call__(self) -> None:
        wait = self._next - time.monotonic()
        self._next += self._interval
        if wait > 0:
            await asyncio.sleep(wait)
        else:
            self._next = time.monotonic() + self._interval
