"""Keep every connection within its rate, and within its share of this worker's slots.

The rate applies to all workers together: each uses a share of it (`catalog.workers`). Eager
activities bypass Temporal's own rate limits, so the limit is applied where requests are made.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from activities.connection_limiter import LONGEST_DELAY, LONGEST_WAIT, ConnectionLimiter, SentBack

# One connection occupies at most a fifth of a worker's slots, however slow its answers are.
PART_OF_SLOTS = 5

_MOST_LIMITERS = 10_000
_JITTER = 0.2


class Throttled(Exception):
    """There is no permit now: free the slot and come back after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no permit within the next {seconds:.1f} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Limits:
    """A connection's requests per second, and the time before which nothing may be sent."""

    per_second: int
    slowed_until: datetime | None = None


@dataclass(frozen=True)
class Permit:
    """Permission to send one request now. `started_at` is a time of the monotonic clock."""

    limiter: ConnectionLimiter
    started_at: float

    def slow_down(self, seconds: float) -> bool:
        """Slow down after "too many requests"; False if another answer just did so."""
        return self.limiter.slow_down(time.monotonic(), self.started_at, seconds)


class RateLimit:
    """Limits all connections of a worker with `slots` activity slots and its `share` of rates."""

    def __init__(self, *, slots: int, share: Callable[[], float]) -> None:
        self._places = max(slots // PART_OF_SLOTS, 1)
        self._share = share
        self._limiters: dict[str, ConnectionLimiter] = {}

    @asynccontextmanager
    async def permit(
        self,
        connection: str,
        limits: Limits,
        *,
        came_back: bool,
        longest_wait: float = LONGEST_WAIT,
    ) -> AsyncIterator[Permit]:
        """Wait for a permit, at most `longest_wait` seconds.

        `came_back` says that this step was throttled before, so it goes ahead of new ones.

        Raises:
            Throttled: there will be no permit within that time.
        """
        limiter = self._limiter(connection)
        now = time.monotonic()
        limiter.per_second = limits.per_second * self._share()
        if limits.slowed_until is not None:
            limiter.wait_until(now + (limits.slowed_until - datetime.now(UTC)).total_seconds())
        answer = limiter.admit(now, came_back=came_back, longest_wait=longest_wait)
        if isinstance(answer, SentBack):
            raise Throttled(_spread(answer.seconds))
        try:
            if answer.starts_at > now:
                await asyncio.sleep(answer.starts_at - now)
            yield Permit(limiter, answer.starts_at)
        finally:
            limiter.release(time.monotonic(), answer.starts_at)

    def _limiter(self, connection: str) -> ConnectionLimiter:
        limiter = self._limiters.get(connection)
        if limiter is None:
            if len(self._limiters) >= _MOST_LIMITERS:
                self._forget_idle()
            limiter = self._limiters[connection] = ConnectionLimiter(self._places)
        return limiter

    def _forget_idle(self) -> None:
        idle_since = time.monotonic() - LONGEST_DELAY
        for id, limiter in list(self._limiters.items()):
            if limiter.in_use == 0 and limiter.last_used < idle_since:
                del self._limiters[id]


def _spread(seconds: float) -> float:
    """Vary the longest delay: otherwise all who got it would come back together."""
    if seconds < LONGEST_DELAY:
        return seconds
    return seconds * (1 - _JITTER * random.random())  # noqa: S311  spreading, not keeping secrets
