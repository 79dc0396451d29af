"""A connection keeps its rate and its places, and nobody waits for nothing."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from bisect import bisect_left

import pytest

from activities.connection_limiter import (
    FAILING,
    FIRST_PLACES,
    LONGEST_AWAY,
    LONGEST_WAIT_OF_FEW,
    PROBE_FIRST,
    PROBE_LONGEST,
    Answer,
    Away,
    ConnectionLimiter,
    Go,
)
from activities.rate_limit import Limits, RateLimit, Throttled


def open_limiter(places: int, per_second: float) -> ConnectionLimiter:
    """One that has been answered before."""
    return ConnectionLimiter(places, per_second, _opened=places)


def sent(limiter: ConnectionLimiter, arrivals: list[float], *, takes: float = 0.01) -> list[float]:
    """When requests are sent that arrive then, each coming back for as long as it is sent away."""
    number = itertools.count()
    queue: list[tuple[float, int, float | None, bool]]
    queue = [(at, next(number), None, False) for at in arrivals]
    heapq.heapify(queue)
    times: list[float] = []
    while queue:
        now, _, began, came_back = heapq.heappop(queue)
        if began is not None:
            limiter.answer(now, began, Answer.ACCEPTED)
            limiter.leave(now, began)
            continue
        entered = limiter.enter(now, came_back=came_back)
        if isinstance(entered, Go):
            assert entered.begins - now <= LONGEST_WAIT_OF_FEW
            assert limiter.in_use <= limiter.places
            times.append(entered.begins)
            heapq.heappush(queue, (entered.begins + takes, next(number), entered.begins, False))
        else:
            heapq.heappush(queue, (now + entered.seconds, next(number), None, True))
    return sorted(times)


def most_within(times: list[float], seconds: float) -> int:
    return max(bisect_left(times, start + seconds) - nth for nth, start in enumerate(times))


def answered(limiter: ConnectionLimiter, now: float, answer: Answer) -> None:
    """One request, answered so within a hundredth of a second."""
    entered = limiter.enter(now, came_back=True, watched=True)
    assert isinstance(entered, Go)
    ends = entered.begins + 0.01
    limiter.answer(ends, entered.begins, answer)
    limiter.leave(ends, entered.begins)


@pytest.mark.parametrize("per_second", [0.5, 10, 450])
def test_rate_holds_over_any_window(per_second):
    arrivals = [number * 0.001 for number in range(int(30 * per_second))]
    times = sent(ConnectionLimiter(places=100, per_second=per_second), arrivals)
    assert len(times) == len(arrivals)
    assert most_within(times, 3) <= 3 * per_second + 1


def test_rate_is_used_up_while_there_is_something_to_send():
    times = sent(ConnectionLimiter(places=100, per_second=10), [0.0] * 300)
    assert times[-1] < 300 / 10 * 1.1


def test_a_few_requests_at_first_and_more_with_each_that_is_answered():
    limiter = ConnectionLimiter(places=20, per_second=900)
    entered = [limiter.enter(0.0, came_back=False) for _ in range(20)]
    went = [one for one in entered if isinstance(one, Go)]
    assert len(went) == FIRST_PLACES
    for one in went:
        limiter.answer(0.1, one.begins, Answer.ACCEPTED)
        limiter.leave(0.1, one.begins)
    again = [limiter.enter(0.2, came_back=True) for _ in range(20)]
    assert sum(isinstance(one, Go) for one in again) == 2 * FIRST_PLACES


def test_no_more_than_its_places_are_taken_and_all_get_their_turn():
    limiter = ConnectionLimiter(places=4, per_second=900)
    times = sent(limiter, [number * 0.01 for number in range(200)], takes=10)
    assert len(times) == 200
    assert times[-1] < 200 / 4 * 10 * 1.5
    assert limiter.in_use == 0


def test_who_was_sent_away_goes_before_who_comes_in():
    limiter = ConnectionLimiter(places=2, per_second=900)
    assert isinstance(limiter.enter(0.0, came_back=False), Go)
    assert isinstance(limiter.enter(0.0, came_back=False), Go)
    away = limiter.enter(0.0, came_back=False)
    assert isinstance(away, Away)
    limiter.leave(0.01, 0.0)
    assert isinstance(limiter.enter(0.01, came_back=False), Away)
    assert isinstance(limiter.enter(0.01, came_back=True), Go)


def test_few_tries_are_wasted_on_a_connection_that_answers_nothing_yet():
    """Before the first request has ended, those under way say how long it takes."""
    limiter, tries = open_limiter(places=20, per_second=900), 0
    due = [(number * 0.01, False) for number in range(1_000)]
    while due and due[0][0] < 10:
        at, came_back = heapq.heappop(due)
        entered = limiter.enter(at, came_back=came_back)
        tries += 1
        if isinstance(entered, Away):
            heapq.heappush(due, (at + entered.seconds, True))
    assert tries < 1_500


def test_idle_limiter_takes_whoever_comes_though_many_are_away():
    limiter = ConnectionLimiter(places=4, per_second=900)
    for _ in range(100):
        limiter.enter(0.0, came_back=False)
    for began in list(limiter._begun):
        limiter.leave(0.2, began)
    assert isinstance(limiter.enter(0.2, came_back=False), Go)


def test_each_is_sent_away_for_longer_than_the_one_before_but_not_for_ever():
    limiter = ConnectionLimiter(places=1, per_second=0.1)
    limiter.enter(0.0, came_back=False)
    entered = [limiter.enter(0.0, came_back=False) for _ in range(200)]
    aways = [away.seconds for away in entered if isinstance(away, Away)]
    assert len(aways) == 200
    assert aways == sorted(aways)
    assert aways[0] >= 10
    assert aways[-1] == LONGEST_AWAY


@pytest.mark.parametrize("count", [3_000, 10_000])
def test_a_backlog_longer_than_anyone_is_sent_away_is_sent_at_the_rate_and_then_forgotten(count):
    limiter = ConnectionLimiter(places=20, per_second=1)
    ended = sent(limiter, [0.0] * count)[-1]
    assert ended < count * 1.1
    identify = limiter.enter(ended + 2, came_back=False)
    assert identify == Go(ended + 2)
    limiter.leave(ended + 2.6, identify.begins)
    assert isinstance(limiter.enter(ended + 2.6, came_back=False), Go)  # its track


def test_nothing_is_sent_without_a_share():
    limiter = ConnectionLimiter(places=10, per_second=0)
    assert isinstance(limiter.enter(0.0, came_back=True), Away)


def test_a_lone_refusal_costs_nobody_else():
    limiter = ConnectionLimiter(places=10, per_second=100)
    for number in range(10):
        answered(limiter, number * 0.1, Answer.ACCEPTED)
    answered(limiter, 1.0, Answer.REFUSED)
    entered = limiter.enter(1.1, came_back=False)
    assert isinstance(entered, Go)
    assert entered.begins - 1.1 < 0.25  # as long as a request takes, no longer
    assert limiter.accepted.per_second is None


def test_what_the_vendor_asks_is_obeyed_by_all_and_told_once():
    limiter = ConnectionLimiter(places=10, per_second=100)
    together = [limiter.enter(0.0, came_back=False) for _ in range(2)]
    first, second = (one.begins for one in together if isinstance(one, Go))
    assert limiter.answer(0.1, first, Answer.REFUSED, 30.0) == 30
    assert limiter.answer(0.11, second, Answer.REFUSED, 30.0) is None
    for began in (first, second):
        limiter.leave(0.11, began)
    other = ConnectionLimiter(places=10, per_second=100)
    other.hear(0.1, 30.1)
    for one in (limiter, other):
        refused = one.enter(0.2, came_back=True)
        assert isinstance(refused, Away)
        assert refused.seconds >= 29.9


def test_who_waits_for_its_moment_is_not_sent_when_all_are_stopped_meanwhile():
    limiter = ConnectionLimiter(places=10, per_second=2)
    first = limiter.enter(0.0, came_back=False)
    second = limiter.enter(0.0, came_back=False)
    assert second == Go(0.5)
    assert limiter.stopped(0.0) is None
    limiter.answer(0.1, first.begins, Answer.REFUSED, 30.0)
    stopped = limiter.stopped(0.5)
    assert stopped is not None
    assert stopped.seconds >= 29.6
    assert limiter.stopped(30.2) is None


async def test_a_permit_that_is_waited_for_is_refused_when_all_are_stopped_meanwhile():
    rate_limit = RateLimit(slots=100, share=lambda: 1.0)
    slow = Limits(per_second=2)

    async def waiting() -> None:
        async with rate_limit.permit("a connection", slow, came_back=False):
            raise AssertionError("it was sent")

    async with rate_limit.permit("a connection", slow, came_back=False) as permit:
        task = asyncio.create_task(waiting())
        await asyncio.sleep(0)
        assert permit.answered(Answer.REFUSED, 30.0) == 30
    with pytest.raises(Throttled) as refused:
        await task
    assert refused.value.seconds > 29


def test_after_an_hour_in_which_nothing_may_be_sent_the_rate_is_used_up_again():
    limiter = ConnectionLimiter(places=20, per_second=10)
    limiter.hear(0.0, 3_600)
    assert sent(limiter, [0.0] * 2_000)[-1] < 3_600 + 2_000 / 10 * 1.1


def failing_limiter() -> tuple[ConnectionLimiter, float]:
    """One that has just failed often enough, and when."""
    limiter = ConnectionLimiter(places=20, per_second=900)
    for number in range(FAILING):
        answered(limiter, number * 0.1, Answer.FAILED)
    return limiter, FAILING * 0.1


def test_a_failing_connection_is_probed_one_request_at_a_time():
    limiter, now = failing_limiter()
    assert isinstance(limiter.enter(now, came_back=False), Away)
    due = now + PROBE_FIRST
    probe = limiter.enter(due, came_back=True)
    assert probe == Go(due)
    assert isinstance(limiter.enter(due, came_back=True), Away)
    limiter.answer(due + 0.1, due, Answer.FAILED)
    limiter.leave(due + 0.1, due)
    assert isinstance(limiter.enter(due + PROBE_FIRST, came_back=True), Away)  # twice as long


@pytest.mark.parametrize("backlog", [10, 10_000])
def test_tries_of_a_failing_connection_grow_with_time_and_not_with_the_backlog(backlog):
    limiter, now = failing_limiter()
    due = [now] * backlog
    requests = looks = 0
    while due[0] < now + 3_600:
        at = heapq.heappop(due)
        entered = limiter.enter(at, came_back=True)
        if isinstance(entered, Go):
            requests += 1
            limiter.answer(at + 0.05, entered.begins, Answer.FAILED)
            limiter.leave(at + 0.05, entered.begins)
            heapq.heappush(due, at + 1)
        else:
            looks += 1
            heapq.heappush(due, at + entered.seconds)
    assert requests <= 3_600 / PROBE_LONGEST + 10
    assert requests >= 3_600 / PROBE_LONGEST / 2
    assert looks <= backlog + 3_600 * 10 * 1.1


@pytest.mark.parametrize("answer", [Answer.ACCEPTED, Answer.REFUSED])
def test_one_answer_opens_a_failing_connection(answer):
    limiter, now = failing_limiter()
    answered(limiter, now + PROBE_FIRST, answer)
    assert not limiter.failing
    later = now + PROBE_FIRST + 1
    assert all(isinstance(limiter.enter(later, came_back=True), Go) for _ in range(FIRST_PLACES))


def test_a_probe_that_says_nothing_leaves_the_way_to_the_next():
    limiter, now = failing_limiter()
    due = now + PROBE_FIRST
    assert limiter.enter(due, came_back=True) == Go(due)
    limiter.leave(due + 1, due)  # its worker could not make the request
    assert isinstance(limiter.enter(due + 1, came_back=True), Go)


def test_who_watches_is_sent_to_a_failing_connection():
    limiter, now = failing_limiter()
    assert isinstance(limiter.enter(now, came_back=False, watched=True), Go)


def test_failures_between_successes_are_no_outage():
    limiter = ConnectionLimiter(places=20, per_second=900)
    for number in range(100):
        answer = Answer.FAILED if number % FAILING else Answer.ACCEPTED
        answered(limiter, number * 0.1, answer)
        assert not limiter.failing
