"""Limit one connection in one worker: whether to send, how many a second, how many at once.

It only decides, from times in seconds of a monotonic clock; the caller waits. docs/limiter.md says
what it promises.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from activities.pace import Pace

# A request that gets no permit within this time frees its slot in the worker.
LONGEST_WAIT = 1.0
# A few may wait longer, so that some request takes the next turn of a low rate.
FEW = 2
LONGEST_WAIT_OF_FEW = 8.0
# A test has one try, so it waits longer.
TEST_WAIT = 10.0
# A request that was sent back is retried after this time at the latest, as after a failure.
LONGEST_DELAY = 900.0
SHORTEST_DELAY = 0.05
# More requests are called back than slots are expected to be free, since some free up early.
OVERBOOKING = 1.5

# This many requests in flight at first; every second answer allows one more.
FIRST_PLACES = 4
PLACES_PER_ANSWER = 0.5

# When this many events have failed without any other answer in between, the connection is only
# probed: by one request after PROBE_FIRST seconds, the next after twice that time.
FAILING = 20
PROBE_FIRST = 1.0
PROBE_LONGEST = 15.0
# This many waiting tries a second come back to see whether it works again.
LOOKS_PER_SECOND = 5.0
# Tries that come back within this time anyway needn't be brought forward.
SOON = 5.0

# A pause that ends this many seconds later than the known one is news to other workers.
NEWS = 0.25

MOST_PACES = 1_000

_FIRST_GUESS = 0.2  # seconds per request, until one has ended
_WEIGHT_OF_LATEST = 0.2


class Answer(Enum):
    """What the outcome of a request shows about its connection."""

    ACCEPTED = "accepted"  # it works, even if it refuses this message
    REFUSED = "refused"  # too many requests
    FAILED = "failed"  # 5xx, or no answer


@dataclass(frozen=True)
class Try:
    """What the limiter has to know of a try.

    `pace` names what within the connection has a rate of its own. `came_back`: the try was sent
    back before, or lost with its worker. `tried_before`: the call has an attempt on record, so it
    has failed. A `test` has one try only.
    """

    event: str
    pace: str = ""
    came_back: bool = False
    tried_before: bool = False
    test: bool = False


@dataclass(eq=False)
class Admitted:
    """Send at this moment, some seconds from now at most."""

    event: str
    starts_at: float
    pace: Pace


@dataclass(frozen=True)
class SentBack:
    """Come back after this many seconds. `failing`: the connection is only probed."""

    seconds: float
    failing: bool = False


@dataclass
class ConnectionLimiter:
    """Limits one connection to `places` requests in flight and `per_second` requests per second.

    A request that would have to wait too long is sent back with a delay, after which it is its
    turn. If all turns within `LONGEST_DELAY` are assigned, it asks again after that time. While
    requests wait for their turns, half of the capacity is reserved for them; new requests get the
    other half or are sent back too.
    """

    places: int
    per_second: float = 1.0
    typical: float = _FIRST_GUESS
    last_used: float = 0.0
    _in_flight: list[Admitted] = field(default_factory=list)
    _opened: float = FIRST_PLACES
    _paces: dict[str, Pace] = field(default_factory=dict)
    _paused_until: float = float("-inf")
    _failed: set[str] = field(default_factory=set)
    _probe_at: float = 0.0
    _probe_wait: float = PROBE_FIRST
    _promised: float = 0.0
    _looked_until: float = 0.0

    @property
    def in_use(self) -> int:
        return len(self._in_flight)

    @property
    def failing(self) -> bool:
        return len(self._failed) >= FAILING

    def admit(self, now: float, one: Try) -> Admitted | SentBack:
        """Admit a request or send it back. After `Admitted`, the caller must call `release`.

        A test is sent even while the connection only fails.
        """
        self.last_used = now
        if self.per_second <= 0:
            return SentBack(2 * LONGEST_WAIT)
        pace = self._pace(now, one.pace)
        pace.known = self.per_second
        starts_at = max(now, pace.next_free, self._stopped_until(pace))
        probes = self.failing and not one.test
        if probes and self._probe_at > now:
            return self._look_again(now, one)
        places, longest_wait = min(self.places, self._opened), LONGEST_WAIT
        if one.test:
            longest_wait = TEST_WAIT
        elif not one.came_back and pace.queued_until > now:
            places, longest_wait = (places + 1) // 2, longest_wait / 2
        elif sum(other.starts_at > now for other in self._in_flight) < FEW:
            longest_wait = LONGEST_WAIT_OF_FEW
        if self.in_use >= places or starts_at - now > longest_wait:
            return self._send_back(pace, now, starts_at, self._between_turns(pace))
        if probes:
            self._probe_wait = min(2 * self._probe_wait, PROBE_LONGEST)
            self._probe_at = starts_at + self._probe_wait
        pace.next_free = starts_at + 1 / pace.per_second
        admitted = Admitted(one.event, starts_at, pace)
        self._in_flight.append(admitted)
        return admitted

    def stopped(self, now: float, admitted: Admitted) -> SentBack | None:
        """Send back a request whose moment has come, if nothing may be sent anymore."""
        pace = admitted.pace
        until = self._stopped_until(pace)
        return self._send_back(pace, now, until, self._between_turns(pace)) if until > now else None

    def learn(
        self, now: float, admitted: Admitted, answer: Answer, asked: float | None = None
    ) -> float | None:
        """Note how a request was answered; `asked` is how long the vendor asks to wait.

        Returns how long all workers must send nothing; None if they know or need not know.
        """
        if answer is Answer.FAILED:
            if not self.failing:
                self._failed.add(admitted.event)
                self._probe_at = now + PROBE_FIRST
            return None
        self._failed.clear()
        self._probe_wait = PROBE_FIRST
        if answer is Answer.ACCEPTED:
            admitted.pace.accept(now)
            self._opened = min(self._opened + PLACES_PER_ANSWER, self.places)
            return None
        pause = admitted.pace.refuse(now, admitted.starts_at)
        if asked is not None:
            pause = asked
        return pause if pause is not None and self._pause(now + pause) else None

    def works_again(self, now: float) -> bool:
        """Say once, when it works again, whether some waiting tries come back only after `SOON`."""
        waits = not self.failing and self._looked_until > now + SOON
        if waits:
            self._looked_until = now
        return waits

    def has_room(self, now: float) -> bool:
        """Say whether one more request could be sent now without going ahead of a waiting try."""
        return self.in_use < min(self.places, self._opened) and any(
            max(pace.queued_until, self._stopped_until(pace)) <= now
            for pace in self._paces.values()
        )

    def release(self, now: float, admitted: Admitted) -> None:
        """Note that a request has ended, or wasn't sent."""
        self.last_used = now
        self._in_flight.remove(admitted)
        took = max(now - admitted.starts_at, 0.0)
        self.typical += _WEIGHT_OF_LATEST * (took - self.typical)

    def wait_until(self, now: float, moment: float) -> None:
        """Send nothing before `moment`, since another worker was refused."""
        if moment > now and self._pause(moment):
            for pace in self._paces.values():
                pace.hear()

    def _stopped_until(self, pace: Pace) -> float:
        return max(self._paused_until, pace.paused_until)

    def _pause(self, moment: float) -> bool:
        """Send nothing before `moment`; return False if that was known, give or take a moment."""
        news = moment > self._paused_until + NEWS
        self._paused_until = max(self._paused_until, moment)
        return news

    def _pace(self, now: float, key: str) -> Pace:
        if len(self._paces) >= MOST_PACES:
            self._paces = {of: pace for of, pace in self._paces.items() if pace.in_use(now)}
        return self._paces.setdefault(key, Pace())

    def _between_turns(self, pace: Pace) -> float:
        spacing = 1 / pace.per_second
        if pace.lowered:  # it may rise long before they come back
            spacing = min(spacing, 1 / LOOKS_PER_SECOND)
        return spacing / OVERBOOKING

    def _look_again(self, now: float, one: Try) -> SentBack:
        """Send back a try while the connection only fails.

        One new try comes back for the next probe, all others in turn: those that wait may be the
        ones that fail, and new ones must not wait behind them.
        """
        if self._promised < self._probe_at and not (one.came_back or one.tried_before):
            self._promised = self._probe_at
            return SentBack(self._probe_at - now, failing=True)
        look = max(self._looked_until, self._probe_at) + 1 / LOOKS_PER_SECOND
        if look - now > LONGEST_DELAY:
            return SentBack(LONGEST_DELAY, failing=True)
        self._looked_until = look
        return SentBack(look - now, failing=True)

    def _send_back(self, pace: Pace, now: float, starts_at: float, spacing: float) -> SentBack:
        # Requests in flight count too: they may already be slower than any that has ended.
        longest = max((now - one.starts_at for one in self._in_flight), default=0.0)
        by_places = max(self.typical, longest) / self.places / OVERBOOKING
        turn = max(pace.queued_until, starts_at) + max(spacing, by_places)
        if turn - now > LONGEST_DELAY:  # no turn yet: it comes back to get one
            return SentBack(LONGEST_DELAY)
        pace.queued_until = turn
        return SentBack(max(turn - now, SHORTEST_DELAY))
