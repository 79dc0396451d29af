"""Limit one connection in one worker: its requests in flight, and its requests per second.

It only decides, from times in seconds of a monotonic clock; the caller waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# A request that gets no permit within this time frees its slot in the worker.
LONGEST_WAIT = 1.0
# A request that was sent back is retried after this time at the latest, as after a failure.
LONGEST_DELAY = 900.0
SHORTEST_DELAY = 0.05

# If "too many requests" is a tenth of the answers or more, the rate is halved. Every RECOVERY
# seconds without such an answer double it again. Rarer ones don't halve it: almost nothing would be
# left of the rate.
RECOVERY = 10.0
SLOWEST = 1 / 64
TOO_MANY = 0.1
_OF_THE_LATEST = 50  # answers; then both counts are halved, so that older ones count less
# More requests are called back than slots are expected to be free, since some free up early.
OVERBOOKING = 1.25

_FIRST_GUESS = 0.2  # seconds per request, until one has ended
_WEIGHT_OF_LATEST = 0.2


@dataclass
class ConnectionLimiter:
    """Limits one connection to `places` requests in flight and `per_second` requests per second.

    A request that would have to wait longer than `LONGEST_WAIT` is sent back with a delay, after
    which it is its turn. If all turns within `LONGEST_DELAY` are assigned, it asks again after that
    time. While requests wait for their turns, half of the capacity is reserved for them; new
    requests get the other half or are sent back too.
    """

    places: int
    per_second: float = 1.0
    typical: float = _FIRST_GUESS
    last_used: float = 0.0
    _in_flight: list[float] = field(default_factory=list)
    _next_free: float = 0.0
    _queued_until: float = 0.0
    _slowed_at: float = float("-inf")
    _slowness: float = 1.0
    _answers: float = 0.0
    _refusals: float = 0.0

    @property
    def in_use(self) -> int:
        return len(self._in_flight)

    def admit(
        self, now: float, *, came_back: bool, longest_wait: float = LONGEST_WAIT
    ) -> Admitted | SentBack:
        """Admit a request or send it back. After `Admitted`, the caller must call `release`."""
        self.last_used = now
        if self.per_second <= 0:
            return SentBack(2 * LONGEST_WAIT)
        spacing = 1 / (self.per_second * self.slowness(now))
        starts_at = max(now, self._next_free)
        places = self.places
        if not came_back and self._queued_until > now:
            places, longest_wait = (places + 1) // 2, longest_wait / 2
        if self.in_use >= places or starts_at - now > longest_wait:
            return self._send_back(now, starts_at, spacing)
        self._next_free = starts_at + spacing
        self._in_flight.append(starts_at)
        return Admitted(starts_at)

    def release(self, now: float, started_at: float) -> None:
        """Note that the request which started at `started_at` has ended."""
        self.last_used = now
        self._in_flight.remove(started_at)
        self._answers += 1
        if self._answers >= _OF_THE_LATEST:
            self._answers, self._refusals = self._answers / 2, self._refusals / 2
        self.typical += _WEIGHT_OF_LATEST * (max(now - started_at, 0.0) - self.typical)

    def slow_down(self, now: float, started_at: float, seconds: float) -> bool:
        """Send nothing for `seconds`, then at half the rate if "too many requests" is frequent.

        Returns False for a request that started before the last slow-down: it is only counted.
        """
        self._refusals += 1
        if started_at < self._slowed_at:
            return False
        many = self._refusals >= TOO_MANY * max(self._answers, 1 / TOO_MANY)
        self._slowness = self.slowness(now) / (2 if many else 1)
        self._slowness = max(self._slowness, SLOWEST)
        self._slowed_at = now
        self.wait_until(now + seconds)
        return True

    def wait_until(self, moment: float) -> None:
        """Send nothing before `moment`."""
        self._next_free = max(self._next_free, moment)

    def slowness(self, now: float) -> float:
        """Return the fraction of the rate in use: 1, or less for a while after a slow-down."""
        if self._slowness >= 1:
            return 1.0
        doublings = min((now - self._slowed_at) / RECOVERY, 60.0)
        return float(min(self._slowness * 2**doublings, 1.0))

    def _send_back(self, now: float, starts_at: float, spacing: float) -> SentBack:
        # Requests in flight count too: they may already be slower than any that has ended.
        longest = now - min(self._in_flight, default=now)
        by_places = max(self.typical, longest) / self.places / OVERBOOKING
        turn = max(self._queued_until, starts_at) + max(spacing, by_places)
        if turn - now > LONGEST_DELAY:  # no turn yet: it comes back to get one
            return SentBack(LONGEST_DELAY)
        self._queued_until = turn
        return SentBack(max(turn - now, SHORTEST_DELAY))


@dataclass(frozen=True)
class Admitted:
    """Send at this moment, at most `LONGEST_WAIT` from now."""

    starts_at: float


@dataclass(frozen=True)
class SentBack:
    """Come back after this many seconds."""

    seconds: float
