"""Keeps every connection within its rate, and within its part of this worker.

The rate holds over all workers: each takes its share of it (`catalog.workers`). Eager activities
pass by the engine's own rate limits, so this is done where the request is made.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from activities.connection_limiter import (
    LONGEST_AWAY,
    LONGEST_WAIT,
    Answer,
    Away,
    ConnectionLimiter,
)

# The vendor takes 3,000 requests in 3 seconds; what is underway may bunch up, so a tenth is left.
VENDOR_RATE = 900

# One connection holds at most this part of a worker's slots, however slow its answers are.
PART_OF_SLOTS = 5

# A test event has one try, which waits longer for its permit than others may.
TEST_WAIT = 10.0

_MOST_LIMITERS = 10_000
_JITTER = 0.2


class Throttled(Exception):
    """No permit now: give the place back and come again after `seconds`.

    `failing` says that the connection only fails and is probed, not that it is used to its limit.
    """

    def __init__(self, seconds: float, *, failing: bool = False) -> None:
        super().__init__(f"no permit within the next {seconds:.1f} s")
        self.seconds = seconds
        self.failing = failing


@dataclass(frozen=True)
class Limits:
    """A connection's own: `per_second` of None is the vendor's; nothing before `slowed_until`."""

    per_second: int | None = None
    slowed_until: datetime | None = None


@dataclass(frozen=True)
class Permit:
    """To send one request now. `began` is of the monotonic clock."""

    limiter: ConnectionLimiter
    began: float

    def answered(self, answer: Answer, asked: float | None) -> float | None:
        """What came of the request, and how many seconds the vendor asks to wait.

        Returns how long all workers should send nothing, None where there is nothing to tell them.
        """
        return self.limiter.answer(time.monotonic(), self.began, answer, asked)


class RateLimit:
    """All connections of one worker. `slots` are its activity slots, `share` its part of a rate."""

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
        test: bool = False,
    ) -> AsyncIterator[Permit]:
        """Wait for a permit, some seconds at most.

        `came_back` says that this try was sent away before, so it goes before others. A `test` has
        one try: it waits longer, and is sent to a connection that fails too.

        Raises:
            Throttled: there is none so soon.
        """
        limiter = self._limiter(connection)
        now = time.monotonic()
        limiter.accepted.share = self._share()
        limiter.per_second = (limits.per_second or VENDOR_RATE) * limiter.accepted.share
        if limits.slowed_until is not None:
            limiter.hear(now, now + (limits.slowed_until - datetime.now(UTC)).total_seconds())
        entered = limiter.enter(
            now,
            came_back=came_back,
            longest_wait=TEST_WAIT if test else LONGEST_WAIT,
            watched=test,
        )
        if isinstance(entered, Away):
            raise _throttled(entered, limiter)
        try:
            if entered.begins > now:
                await asyncio.sleep(entered.begins - now)
                if stopped := limiter.stopped(time.monotonic()):
                    raise _throttled(stopped, limiter)
            yield Permit(limiter, entered.begins)
        finally:
            limiter.leave(time.monotonic(), entered.begins)

    def _limiter(self, connection: str) -> ConnectionLimiter:
        limiter = self._limiters.get(connection)
        if limiter is None:
            if len(self._limiters) >= _MOST_LIMITERS:
                self._forget_idle()
            limiter = self._limiters[connection] = ConnectionLimiter(self._places)
        return limiter

    def _forget_idle(self) -> None:
        idle_since = time.monotonic() - LONGEST_AWAY
        for id, limiter in list(self._limiters.items()):
            if limiter.in_use == 0 and limiter.last_used < idle_since:
                del self._limiters[id]


def _throttled(away: Away, limiter: ConnectionLimiter) -> Throttled:
    seconds = spread(away.seconds, random.random())  # noqa: S311  spreading, not keeping secrets
    return Throttled(seconds, failing=limiter.failing)


def spread(seconds: float, random: float) -> float:
    """Those sent away for the longest time would otherwise all come back together."""
    if seconds < LONGEST_AWAY:
        return seconds
    return seconds * (1 - _JITTER * random)
