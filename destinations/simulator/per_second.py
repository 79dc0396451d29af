"""Limit what a simulator accepts in a second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable


class PerSecond:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._latest: dict[Hashable, deque[float]] = {}

    def exceeded(self, limit: int | None, of: Hashable = None) -> bool:
        """Count one more, unless as many as the limit were counted within the last second."""
        now, latest = self._clock(), self._latest.setdefault(of, deque())
        while latest and latest[0] <= now - 1:
            latest.popleft()
        if limit is not None and len(latest) >= limit:
            return True
        latest.append(now)
        return False
