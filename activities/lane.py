"""One connection's way through one worker: how many requests at once, and how many a second.

A pure decision over a monotonic clock in seconds, so that it is tested without one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# A request that finds no permit within this time gives its place in the worker back.
LONGEST_WAIT = 1.0
# Tries that were sent away come back at the latest then, as those that failed do.
LONGEST_AWAY = 900.0
SHORTEST_AWAY = 0.05

# Where "too many requests" is a tenth of the answers or more, the rate is halved; it doubles again
# in every such time without. Fewer are no sign of a limit: halved at each, only a trickle is left.
RECOVERY = 10.0
SLOWEST = 1 / 64
TOO_MANY = 0.1
_OF_THE_LATEST = 50  # answers; then both counts are halved, so that older ones weigh less
# How much more is called back than can be taken: places are left free by chance.
OVERBOOKING = 1.25

_FIRST_GUESS = 0.2  # seconds that a request takes, before any has been seen
_WEIGHT_OF_LATEST = 0.2


@dataclass
class Lane:
    """`per_second` is this worker's share of the connection's rate, `places` its part of slots.

    Requests that must wait longer than `LONGEST_WAIT` are sent away, each with a turn of its own
    to come back at; where all turns within `LONGEST_AWAY` are taken, to ask for one then. Half of
    what the lane can take is kept for those: who comes in for the first time while others are away
    gets the other half or queues up behind them.
    """

    places: int
    per_second: float = 1.0
    typical: float = _FIRST_GUESS
    last_used: float = 0.0
    _begun: list[float] = field(default_factory=list)
    _next_free: float = 0.0
    _queued_until: float = 0.0
    _slowed_at: float = float("-inf")
    _slowness: float = 1.0
    _answers: float = 0.0
    _refusals: float = 0.0

    @property
    def in_use(self) -> int:
        return len(self._begun)

    def enter(
        self, now: float, *, came_back: bool, longest_wait: float = LONGEST_WAIT
    ) -> Go | Away:
        """Take a place, or be sent away. Whoever gets `Go` must `leave`."""
        self.last_used = now
        if self.per_second <= 0:
            return Away(2 * LONGEST_WAIT)
        spacing = 1 / (self.per_second * self.slowness(now))
        starts_at = max(now, self._next_free)
        places = self.places
        if not came_back and self._queued_until > now:
            places, longest_wait = (places + 1) // 2, longest_wait / 2
        if self.in_use >= places or starts_at - now > longest_wait:
            return self._send_away(now, starts_at, spacing)
        self._next_free = starts_at + spacing
        self._begun.append(starts_at)
        return Go(starts_at)

    def leave(self, now: float, began: float) -> None:
        """The request that began then has ended."""
        self.last_used = now
        self._begun.remove(began)
        self._answers += 1
        if self._answers >= _OF_THE_LATEST:
            self._answers, self._refusals = self._answers / 2, self._refusals / 2
        self.typical += _WEIGHT_OF_LATEST * (max(now - began, 0.0) - self.typical)

    def slow_down(self, now: float, began: float, seconds: float) -> bool:
        """ "Too many requests": nothing for so long; then at half the rate, if many say so.

        Once for all requests that were under way together; False when it is known already.
        """
        self._refusals += 1
        if began < self._slowed_at:
            return False
        many = self._refusals >= TOO_MANY * max(self._answers, 1 / TOO_MANY)
        self._slowness = self.slowness(now) / (2 if many else 1)
        self._slowness = max(self._slowness, SLOWEST)
        self._slowed_at = now
        self.wait_until(now + seconds)
        return True

    def wait_until(self, moment: float) -> None:
        """Nothing is sent before."""
        self._next_free = max(self._next_free, moment)

    def slowness(self, now: float) -> float:
        """The part of the rate that is used: 1, or less for a while after a slow-down."""
        if self._slowness >= 1:
            return 1.0
        doublings = min((now - self._slowed_at) / RECOVERY, 60.0)
        return float(min(self._slowness * 2**doublings, 1.0))

    def _send_away(self, now: float, starts_at: float, spacing: float) -> Away:
        # Those under way may tell more than those that have ended: none may end for a long time.
        longest = now - min(self._begun, default=now)
        by_places = max(self.typical, longest) / self.places / OVERBOOKING
        turn = max(self._queued_until, starts_at) + max(spacing, by_places)
        if turn - now > LONGEST_AWAY:  # no turn yet: it comes back to ask for one
            return Away(LONGEST_AWAY)
        self._queued_until = turn
        return Away(max(turn - now, SHORTEST_AWAY))


@dataclass(frozen=True)
class Go:
    """Send at that moment, `LONGEST_WAIT` from now at most."""

    begins: float


@dataclass(frozen=True)
class Away:
    """Come back after so many seconds."""

    seconds: float
