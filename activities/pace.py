"""How fast requests follow one another: at a known rate, and no faster than is accepted.

A limit that isn't known is found by refusals ("too many requests"). What was accepted meanwhile is
decreased by a part; from there the rate rises as TCP's does (CUBIC, RFC 9438): it nears what was
accepted, stays there for a while, and then searches faster and faster.

It only decides, from times in seconds of a monotonic clock.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

# This many refusals among the latest answers, or in a row, show a limit; fewer are chance. Once a
# limit is known, fewer show that it is exceeded.
MANY = 5
IN_A_ROW = 3
PASSED = 2
OF_THE_LATEST = 20

DECREASE = 0.1
# The difference, in requests per second, between the rate and what was accepted, one second of use
# before and after they are equal again. It grows with the third power of time, whatever the rate
# is, so that workers which share a limit come to have similar parts of it.
GROWTH = 1 / 900

# Seconds without a request once a limit shows; twice as many each time that the first request
# after a pause is refused too.
PAUSE = 1.0
LONGEST_PAUSE = 60.0

# A lower limit is approached in steps: less may have been accepted because less was sent.
LEAST = 0.8

_MEASURED = 5.0  # the latest seconds, over which the accepted requests are counted
_SLOWEST = 1.0  # requests per second


@dataclass
class Pace:
    """Spaces requests at `known` per second, or at what was found to be accepted.

    The next request may start at `next_free`, none before `paused_until`; turns are assigned up to
    `queued_until`.
    """

    known: float = 1.0
    next_free: float = 0.0
    queued_until: float = 0.0
    paused_until: float = float("-inf")
    _found: float | None = None
    _used: float = 0.0
    _pause: float = 0.0
    _lowered_at: float = float("-inf")
    _accepted: deque[float] = field(default_factory=lambda: deque(maxlen=3_000))
    _refusals: deque[bool] = field(default_factory=lambda: deque(maxlen=OF_THE_LATEST))

    @property
    def per_second(self) -> float:
        if self._found is None:
            return self.known
        same_after = math.cbrt(DECREASE * self._found / GROWTH)
        return min(self.known, self._found + GROWTH * (self._used - same_after) ** 3)

    @property
    def lowered(self) -> bool:
        return self.per_second < self.known

    def in_use(self, now: float) -> bool:
        return self.lowered or max(self.next_free, self.queued_until, self.paused_until) > now

    def accept(self, now: float) -> None:
        """Note an accepted request. Only use raises the rate again."""
        self._accepted.append(now)
        self._refusals.append(False)
        self._pause = 0.0
        self._used += 1 / self.per_second

    def refuse(self, now: float, started_at: float) -> float | None:
        """Note a refused request; return for how long no worker must send if a limit shows.

        A request that started before the rate was lowered says nothing new. Where the first one
        after that is refused too, only this worker pauses: others may be accepted.
        """
        if started_at < self._lowered_at:
            return None
        self._refusals.append(True)
        latest = tuple(self._refusals)
        if self.lowered and all(latest):
            self._pause = min(max(2 * self._pause, PAUSE), LONGEST_PAUSE)
            self.paused_until = now + self._pause
            self._go_below(now, self.per_second)
            return None
        shows = sum(latest) >= MANY or sum(latest[-IN_A_ROW:]) == IN_A_ROW
        if shows:
            self._pause = PAUSE
        if shows or (self.lowered and sum(latest) >= PASSED):
            self._lower(now)
        return PAUSE if shows else None

    def hear(self) -> None:
        """Note that another worker was refused: the next refusal here is not by chance."""
        self._refusals.extend([True] * (IN_A_ROW - 1))

    def _lower(self, now: float) -> None:
        while self._accepted and self._accepted[0] <= now - _MEASURED:
            self._accepted.popleft()
        since = self._accepted[0] if self._accepted else now
        accepted = len(self._accepted) / max(now - since, 1.0)
        if self.lowered:
            accepted = min(max(accepted, LEAST * self.per_second), self.per_second)
        else:
            accepted = max(accepted, sum(at > now - 1 for at in self._accepted))
        self._go_below(now, accepted)

    def _go_below(self, now: float, per_second: float) -> None:
        self._found = max(per_second, _SLOWEST)
        self._used = 0.0
        self._lowered_at = now
        self._refusals.clear()
