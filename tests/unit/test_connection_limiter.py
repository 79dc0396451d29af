"""A connection keeps its rate and its places, and nobody waits for nothing."""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left

import pytest

from activities.connection_limiter import (
    LONGEST_DELAY,
    LONGEST_WAIT,
    RECOVERY,
    Admitted,
    ConnectionLimiter,
    SentBack,
)


def sent(limiter: ConnectionLimiter, arrivals: list[float], *, takes: float = 0.01) -> list[float]:
    """When requests are sent that arrive then, each coming back after its delay."""
    number = itertools.count()
    queue: list[tuple[float, int, float | None, bool]]
    queue = [(at, next(number), None, False) for at in arrivals]
    heapq.heapify(queue)
    times: list[float] = []
    while queue:
        now, _, started_at, came_back = heapq.heappop(queue)
        if started_at is not None:
            limiter.release(now, started_at)
            continue
        answer = limiter.admit(now, came_back=came_back)
        if isinstance(answer, Admitted):
            assert answer.starts_at - now <= LONGEST_WAIT
            assert limiter.in_use <= limiter.places
            times.append(answer.starts_at)
            heapq.heappush(queue, (answer.starts_at + takes, next(number), answer.starts_at, False))
        else:
            heapq.heappush(queue, (now + answer.seconds, next(number), None, True))
    return sorted(times)


def most_within(times: list[float], seconds: float) -> int:
    return max(bisect_left(times, start + seconds) - nth for nth, start in enumerate(times))


@pytest.mark.parametrize("per_second", [0.5, 10, 450])
def test_rate_holds_over_any_window(per_second):
    arrivals = [number * 0.001 for number in range(int(30 * per_second))]
    times = sent(ConnectionLimiter(places=100, per_second=per_second), arrivals)
    assert len(times) == len(arrivals)
    assert most_within(times, 3) <= 3 * per_second + 1


def test_rate_is_used_up_while_there_is_something_to_send():
    times = sent(ConnectionLimiter(places=100, per_second=10), [0.0] * 300)
    assert times[-1] < 300 / 10 * 1.1


def test_no_more_than_its_places_are_taken_and_all_get_their_turn():
    limiter = ConnectionLimiter(places=4, per_second=900)
    times = sent(limiter, [number * 0.01 for number in range(200)], takes=10)
    assert len(times) == 200
    assert times[-1] < 200 / 4 * 10 * 1.5
    assert limiter.in_use == 0


def test_who_was_sent_away_goes_before_who_comes_in():
    limiter = ConnectionLimiter(places=2, per_second=900)
    assert isinstance(limiter.admit(0.0, came_back=False), Admitted)
    assert isinstance(limiter.admit(0.0, came_back=False), Admitted)
    sent_back = limiter.admit(0.0, came_back=False)
    assert isinstance(sent_back, SentBack)
    limiter.release(0.01, 0.0)
    assert isinstance(limiter.admit(0.01, came_back=False), SentBack)
    assert isinstance(limiter.admit(0.01, came_back=True), Admitted)


def test_few_tries_are_wasted_on_a_connection_that_answers_nothing_yet():
    """Before the first request has ended, those under way say how long it takes."""
    limiter, tries = ConnectionLimiter(places=20, per_second=900), 0
    due = [(number * 0.01, False) for number in range(1_000)]
    while due and due[0][0] < 10:
        at, came_back = heapq.heappop(due)
        answer = limiter.admit(at, came_back=came_back)
        tries += 1
        if isinstance(answer, SentBack):
            heapq.heappush(due, (at + answer.seconds, True))
    assert tries < 1_500


def test_an_idle_limiter_admits_whoever_comes_though_many_wait():
    limiter = ConnectionLimiter(places=4, per_second=900)
    for _ in range(100):
        limiter.admit(0.0, came_back=False)
    for started_at in list(limiter._in_flight):
        limiter.release(0.2, started_at)
    assert isinstance(limiter.admit(0.2, came_back=False), Admitted)


def test_each_is_sent_away_for_longer_than_the_one_before_but_not_for_ever():
    limiter = ConnectionLimiter(places=1, per_second=0.1)
    limiter.admit(0.0, came_back=False)
    answers = [limiter.admit(0.0, came_back=False) for _ in range(200)]
    delays = [sent_back.seconds for sent_back in answers if isinstance(sent_back, SentBack)]
    assert len(delays) == 200
    assert delays == sorted(delays)
    assert delays[0] >= 10
    assert delays[-1] == LONGEST_DELAY


@pytest.mark.parametrize("count", [3_000, 10_000])
def test_a_backlog_longer_than_anyone_is_sent_away_is_sent_at_the_rate_and_then_forgotten(count):
    limiter = ConnectionLimiter(places=20, per_second=1)
    ended = sent(limiter, [0.0] * count)[-1]
    assert ended < count * 1.1
    identify = limiter.admit(ended + 2, came_back=False)
    assert identify == Admitted(ended + 2)
    limiter.release(ended + 2.6, identify.starts_at)
    assert isinstance(limiter.admit(ended + 2.6, came_back=False), Admitted)  # its track


def test_after_an_hour_in_which_nothing_may_be_sent_the_rate_is_used_up_again():
    limiter = ConnectionLimiter(places=20, per_second=10)
    limiter.wait_until(3_600)
    assert sent(limiter, [0.0] * 2_000)[-1] < 3_600 + 2_000 / 10 * 1.1


def test_too_many_requests_stops_everyone_then_halves_the_rate():
    limiter = ConnectionLimiter(places=10, per_second=100)
    limiter.admit(0.0, came_back=False)
    assert limiter.slow_down(1.0, 0.5, seconds=30)
    refused = limiter.admit(1.0, came_back=True)
    assert isinstance(refused, SentBack)
    assert refused.seconds >= 30
    assert limiter.slowness(1.0) == 0.5
    assert limiter.slowness(1.0 + RECOVERY) == 1.0


def test_requests_under_way_together_slow_it_down_once():
    limiter = ConnectionLimiter(places=10, per_second=100)
    assert limiter.slow_down(1.0, 0.9, seconds=1)
    assert not limiter.slow_down(1.1, 0.95, seconds=1)
    assert limiter.slow_down(2.5, 2.1, seconds=1)
    assert limiter.slowness(2.5) < 0.5


def test_one_refusal_among_many_answers_is_a_pause_and_no_lower_rate():
    limiter = ConnectionLimiter(places=10, per_second=100)
    for number in range(40):
        limiter.admit(number / 10, came_back=False)
        limiter.release(number / 10 + 0.05, number / 10)
    assert limiter.slow_down(4.0, 3.95, seconds=1)
    assert limiter.slowness(4.0) == 1
    refused = limiter.admit(4.0, came_back=True, longest_wait=0.5)
    assert isinstance(refused, SentBack)
    for number in range(5):  # but when they become a tenth of the answers, it is lowered
        limiter.slow_down(6.0 + number, 5.9 + number, seconds=1)
    assert limiter.slowness(10.0) < 1


def test_nothing_is_sent_without_a_share():
    limiter = ConnectionLimiter(places=10, per_second=0)
    assert isinstance(limiter.admit(0.0, came_back=True), SentBack)
