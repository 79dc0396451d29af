"""Limit what a simulator accepts in a second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable


class PerSecond:
    def __init__(self) -> None:
        self._latest: dict[Hashable, deque[float]] = {}

    def exceeded(self, limit: int | None, of: Hashable = None) -> bool:
        """Count one more, unless as many as the limit were counted within the last second."""
        now, latest = time.monotonic(), self._latest.setdefault(of, deque())
        while latest and latest[0] <= now - 1:
            latest.popleft()
        if limit is not None and len(latest) >= limit:
            return True
        latest.append(now)
        return False
