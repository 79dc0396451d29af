"""One connection in one worker: how many requests at once, how many a second, and whether at all.

A pure decision over a monotonic clock in seconds, so that it is tested without one. What it
promises is in docs/limiter.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from activities.accepted_rate import AcceptedRate

# A request that finds no permit within this time gives its place in the worker back.
LONGEST_WAIT = 1.0
# A few may wait longer, so that somebody is there when a low rate has its next turn.
FEW = 2
LONGEST_WAIT_OF_FEW = 8.0
# Tries that were sent away come back at the latest then, as those that failed do.
LONGEST_AWAY = 900.0
SHORTEST_AWAY = 0.05
# How much more is called back than can be taken: places are left free by chance.
OVERBOOKING = 1.5

# So many requests at once at first; each answer allows one more.
FIRST_PLACES = 4

# Without a word for how long, nothing is sent for so long when many are refused.
PAUSE = 1.0
# After any refusal: as long as a request takes, to hear of those under way; this at most.
LONGEST_PAUSE_FOR_ONE = 0.25

# So many failures in a row, and the connection is only probed: one request at a time, the first
# after PROBE_FIRST, then after twice as long each time.
FAILING = 10
PROBE_FIRST = 1.0
PROBE_LONGEST = 60.0
# So many tries a second come to see meanwhile whether it works again.
LOOKS_PER_SECOND = 10.0

_FIRST_GUESS = 0.2  # seconds that a request takes, before any has been seen
_WEIGHT_OF_LATEST = 0.2


class Answer(Enum):
    """What a request says of its connection."""

    ACCEPTED = "accepted"  # it works, whatever it thinks of this request
    REFUSED = "refused"  # too many requests
    FAILED = "failed"  # 5xx, or no answer


@dataclass
class ConnectionLimiter:
    """`per_second` is this worker's share of the connection's rate, `places` its part of slots.

    Requests that must wait too long are sent away, each with a turn of its own to come back at;
    where all turns within `LONGEST_AWAY` are taken, to ask for one then. Half of what can be taken
    is kept for those: who comes in for the first time while others are away gets the other half or
    queues up behind them.
    """

    places: int
    per_second: float = 1.0
    typical: float = _FIRST_GUESS
    last_used: float = 0.0
    accepted: AcceptedRate = field(default_factory=AcceptedRate)
    _begun: list[float] = field(default_factory=list)
    _next_free: float = 0.0
    _paused_until: float = float("-inf")
    _queued_until: float = 0.0
    _opened: int = field(default_factory=lambda: FIRST_PLACES)
    _failures: int = 0
    _probe_at: float = 0.0
    _probe_wait: float = PROBE_FIRST
    _probe: float | None = None

    @property
    def in_use(self) -> int:
        return len(self._begun)

    @property
    def failing(self) -> bool:
        return self._failures >= FAILING

    def enter(
        self,
        now: float,
        *,
        came_back: bool,
        longest_wait: float = LONGEST_WAIT,
        watched: bool = False,
    ) -> Go | Away:
        """Take a place, or be sent away. Whoever gets `Go` must `leave`.

        A try that somebody watches is sent to a failing connection too.
        """
        self.last_used = now
        if self.per_second <= 0:
            return Away(2 * LONGEST_WAIT)
        starts_at = max(now, self._next_free)
        probes = self.failing and not watched
        if probes and (self._probe is not None or max(starts_at, self._probe_at) > now):
            looks_at = max(self._probe_at, now + self._probe_wait)
            return self._send_away(now, looks_at, 1 / LOOKS_PER_SECOND)
        places = min(self.places, self._opened)
        if not came_back and self._queued_until > now:
            places, longest_wait = (places + 1) // 2, longest_wait / 2
        elif sum(began > now for began in self._begun) < FEW:
            longest_wait = max(longest_wait, LONGEST_WAIT_OF_FEW)
        full = self.in_use >= places or starts_at - now > longest_wait
        if full and not probes:
            return self._send_away(now, starts_at, self._between_turns())
        if probes:
            self._probe = starts_at
        self._next_free = starts_at + 1 / self._rate()
        self._begun.append(starts_at)
        return Go(starts_at)

    def stopped(self, now: float) -> Away | None:
        """Whether a request that has waited for its moment must not be sent after all."""
        if now >= self._paused_until:
            return None
        return self._send_away(now, self._paused_until, self._between_turns())

    def answer(
        self, now: float, began: float, answer: Answer, asked: float | None = None
    ) -> float | None:
        """The request that began then was answered so; `asked` is how long the vendor says to wait.

        Returns how long all workers should send nothing, None where that is known or not needed.
        """
        if answer is Answer.FAILED:
            self._fail(now, began)
            return None
        self._failures, self._probe_wait = 0, PROBE_FIRST
        if answer is Answer.ACCEPTED:
            self.accepted.accept(now)
            self._opened = min(self._opened + 1, self.places)
            return None
        many = self.accepted.refuse(now, began, asked=asked is not None)
        if asked is not None:
            return asked if self._wait_until(now + asked) else None
        self._wait_until(now + (PAUSE if many else min(self.typical, LONGEST_PAUSE_FOR_ONE)))
        return PAUSE if many else None

    def leave(self, now: float, began: float) -> None:
        """The request that began then has ended."""
        self.last_used = now
        self._begun.remove(began)
        if self._probe == began:
            self._probe = None
        self.typical += _WEIGHT_OF_LATEST * (max(now - began, 0.0) - self.typical)

    def hear(self, now: float, moment: float) -> None:
        """All workers send nothing before, since one of them was refused."""
        if moment > now and self._wait_until(moment):
            self.accepted.lower(now)

    def _wait_until(self, moment: float) -> bool:
        """False where that is known already, to a part of a second."""
        news = moment > self._paused_until + LONGEST_PAUSE_FOR_ONE
        self._next_free = max(self._next_free, moment)
        self._paused_until = max(self._paused_until, moment)
        return news

    def _fail(self, now: float, began: float) -> None:
        was_failing = self.failing
        self._failures += 1
        if self._probe == began or (self.failing and not was_failing):
            self._probe_at = now + self._probe_wait
            self._probe_wait = min(2 * self._probe_wait, PROBE_LONGEST)

    def _rate(self) -> float:
        found = self.accepted.per_second
        return self.per_second if found is None else min(self.per_second, found)

    def _between_turns(self) -> float:
        spacing = 1 / self._rate()
        if self.accepted.per_second is not None:  # it may rise long before they come back
            spacing = min(spacing, 1 / LOOKS_PER_SECOND)
        return spacing / OVERBOOKING

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
    """Send at that moment, `LONGEST_WAIT_OF_FEW` or what was asked for from now at most."""

    begins: float


@dataclass(frozen=True)
class Away:
    """Come back after so many seconds."""

    seconds: float
