"""The limiter in virtual time: the worker's real decisions, with models of engine and vendor.

The engine hands the oldest try to any worker that has a free slot, and hands out again what failed
or was sent back after the delay that it was sent back with, or sooner if it is brought forward. A
vendor accepts, refuses or fails.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from activities.connection_limiter import (
    SHORTEST_DELAY,
    Admitted,
    Answer,
    ConnectionLimiter,
    SentBack,
    Try,
)
from activities.rate_limit import PART_OF_SLOTS, spread_out
from delivery.outcome import retry_delay

SLOTS = 100  # activity slots of each worker
STARTS_APART = 2.0  # seconds from one worker's start to the next one's
HEARD = 0.01  # seconds until other workers hear of a pause
DISPATCH = 0.005  # seconds until a worker has the next try, at most
BROUGHT = 0.02  # seconds to bring one forward
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Bucket:
    """Accepts `per_second`, and `burst` at once."""

    per_second: float
    burst: float
    _tokens: float = math.inf
    _at: float = 0.0

    def __call__(self, now: float) -> bool:
        self._tokens = min(self._tokens + (now - self._at) * self.per_second, self.burst)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass
class Window:
    """Accepts `count` in each window of `seconds`."""

    count: int
    seconds: float
    _number: int = -1
    _seen: int = 0

    def __call__(self, now: float) -> bool:
        number = int(now / self.seconds)
        if number != self._number:
            self._number, self._seen = number, 0
        self._seen += 1
        return self._seen <= self.count


@dataclass
class Vendor:
    """Has a limit (`accepts`), refuses and fails by chance, and only fails until `down_until`.

    The events in `poison` always fail.
    """

    latency: float = 0.05
    accepts: Callable[[float], bool] = lambda now: True
    refuses: float = 0.0
    fails: float = 0.0
    down_until: float = 0.0
    poison: frozenset[int] = frozenset()
    retry_after: float | None = None
    requests: list[tuple[float, Answer]] = field(default_factory=list)

    def answer(self, now: float, event: int, chance: Random) -> tuple[float, Answer]:
        """Return how long the answer takes, and what it is."""
        takes = self.latency * (0.75 + 0.5 * chance.random())
        drawn = chance.random()
        if now < self.down_until or event in self.poison or drawn < self.fails:
            said = Answer.FAILED
        elif drawn < self.fails + self.refuses or not self.accepts(now):
            said = Answer.REFUSED
        else:
            said = Answer.ACCEPTED
        self.requests.append((now, said))
        return takes, said


@dataclass
class Call:
    """One call of an event: its identify, or its track. `event` numbers them by arrival."""

    event: int
    arrived: float
    first: bool = True
    came_back: bool = False
    failures: int = 0


@dataclass
class Ran:
    """What happened. `ended` has the arrival and the end of each event."""

    ended: list[tuple[float, float]]
    requests: list[tuple[float, Answer]]
    tries: int

    @property
    def last(self) -> float:
        return max(end for _, end in self.ended)

    @property
    def refused(self) -> float:
        refused = sum(said is Answer.REFUSED for _, said in self.requests)
        return refused / max(len(self.requests), 1)

    def took(self, part: float) -> float:
        """Return a quantile of the times from arrival to end."""
        took = sorted(end - arrived for arrived, end in self.ended)
        return took[min(int(part * len(took)), len(took) - 1)]

    def most_within(self, seconds: float) -> int:
        most, window = 0, deque[float]()
        for at, _ in self.requests:
            window.append(at)
            while window[0] <= at - seconds:
                window.popleft()
            most = max(most, len(window))
        return most


def run(
    arrivals: Sequence[float],
    vendor: Vendor,
    *,
    workers: int = 1,
    per_second: float = 900,
    limited: bool = True,
    calls: int = 2,
    connections: int = 1,
    seed: int = 1,
    until: float = math.inf,
) -> Ran:
    """Deliver events that arrive at these times, with the limiter or without.

    Events go to each of the `connections` in turn, which share nothing but the vendor.
    """
    chance, number = Random(seed), itertools.count()
    limiters = [
        [ConnectionLimiter(SLOTS // PART_OF_SLOTS) for _ in range(connections)]
        for _ in range(workers)
    ]
    free = [0] * workers
    ready: deque[Call] = deque()
    ends: dict[int, float] = {}
    waiting: dict[int, Call] = {}  # by the number of their timer: what was sent back
    due: list[tuple[float, int, Callable[[float], None]]] = []
    tries = 0

    def at(when: float, then: Callable[[float], None]) -> None:
        heapq.heappush(due, (when, next(number), then))

    def dispatch(now: float) -> None:
        nonlocal tries
        while ready and any(free):
            worker = chance.choice([n for n in range(workers) if free[n]])
            call = ready.popleft()
            free[worker] -= 1
            tries += 1
            at(now + DISPATCH * chance.random(), lambda t, c=call, w=worker: begin(t, c, w))

    def arrive(now: float, call: Call) -> None:
        ready.append(call)
        dispatch(now)

    def back(now: float, call: Call, worker: int, seconds: float) -> None:
        free[worker] += 1
        at(now + seconds, lambda t: arrive(t, call))
        dispatch(now)

    def limiter_of(call: Call, worker: int) -> ConnectionLimiter:
        return limiters[worker][call.event % connections]

    def tell(now: float, call: Call, moment: float) -> None:
        for worker in range(workers):
            limiter_of(call, worker).wait_until(now, moment)

    def begin(now: float, call: Call, worker: int) -> None:
        if not limited:
            send(now, None, call, worker)
            return
        answer = limiter_of(call, worker).admit(
            now,
            Try(str(call.event), came_back=call.came_back, tried_before=call.failures > 0),
        )
        if isinstance(answer, SentBack):
            send_back(now, call, worker, answer)
        else:
            at(answer.starts_at, lambda t: wake(t, answer, call, worker))

    def wake(now: float, admitted: Admitted, call: Call, worker: int) -> None:
        stopped = limiter_of(call, worker).stopped(now, admitted)
        if stopped is None:
            send(now, admitted, call, worker)
        else:
            limiter_of(call, worker).release(now, admitted)
            send_back(now, call, worker, stopped)

    def send_back(now: float, call: Call, worker: int, answer: SentBack) -> None:
        call.came_back = True
        free[worker] += 1
        timer = next(number)
        waiting[timer] = call
        at(now + spread_out(answer.seconds, chance.random()), lambda t: come_back(t, timer))
        dispatch(now)

    def come_back(now: float, timer: int) -> None:
        if call := waiting.pop(timer, None):
            arrive(now, call)

    def bring_forward(now: float, limiter: ConnectionLimiter, timers: Iterator[int]) -> None:
        if limiter.failing:
            return
        room = limiter.has_room(now)
        if room:
            if (timer := next((one for one in timers if one in waiting), None)) is None:
                return
            come_back(now, timer)
        then = now + (BROUGHT if room else SHORTEST_DELAY)
        at(then, lambda t: bring_forward(t, limiter, timers))

    def send(now: float, admitted: Admitted | None, call: Call, worker: int) -> None:
        takes, said = vendor.answer(now, call.event, chance)
        at(now + takes, lambda t: end(t, admitted, call, worker, said))

    def end(now: float, admitted: Admitted | None, call: Call, worker: int, said: Answer) -> None:
        asked = vendor.retry_after if said is Answer.REFUSED else None
        if admitted is not None:
            pause = limiter_of(call, worker).learn(now, admitted, said, asked)
            limiter_of(call, worker).release(now, admitted)
            if limiter_of(call, worker).works_again(now):
                of = call.event % connections
                timers = [t for t, other in waiting.items() if other.event % connections == of]
                bring_forward(now, limiter_of(call, worker), iter(timers))
            if pause is not None:
                at(now + HEARD, lambda t: tell(t, call, now + pause))
        if said is Answer.ACCEPTED:
            free[worker] += 1
            if call.first and calls == 2:
                at(now + DISPATCH, lambda t: arrive(t, Call(call.event, call.arrived, False)))
            else:
                ends[call.event] = now
            dispatch(now)
            return
        call.failures += 1
        call.came_back = False
        delay = retry_delay(
            call.failures,
            retry_after=None if asked is None else str(asked),
            now=_NOW,
            random=chance.random(),
        )
        back(now, call, worker, delay.total_seconds())

    def start(now: float, worker: int) -> None:
        for limiter in itertools.chain.from_iterable(limiters):
            limiter.per_second = per_second / (worker + 1)
        free[worker] = SLOTS
        dispatch(now)

    for worker in range(workers):
        at(worker * STARTS_APART, lambda t, w=worker: start(t, w))
    for event, arrived in enumerate(arrivals):
        at(arrived, lambda t, e=event: arrive(t, Call(e, t)))
    while due and due[0][0] < until:
        now, _, then = heapq.heappop(due)
        then(now)
    ended = [(arrived, ends.get(event, math.inf)) for event, arrived in enumerate(arrivals)]
    return Ran(ended, vendor.requests, tries)
