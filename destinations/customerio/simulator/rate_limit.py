"""Requests per second, counted over the last second."""

from __future__ import annotations

from collections import deque


class RateLimit:
    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], deque[float]] = {}

    def allows(self, of: tuple[str, str], limit: int, now: float) -> bool:
        """Count a request of this region and key at `now` (seconds); refused ones don't count."""
        taken = self._taken.setdefault(of, deque())
        while taken and taken[0] <= now - 1:
            taken.popleft()
        if len(taken) >= limit:
            return False
        taken.append(now)
        return True
