"""A connection keeps its rate and its places, and nobody waits for nothing."""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left

import pytest

from activities.lane import LONGEST_DELAY, LONGEST_WAIT, RECOVERY, Away, Go, Lane


def sent(lane: Lane, arrivals: list[float], *, takes: float = 0.01) -> list[float]:
    """When requests are sent that arrive then, each coming back for as long as it is sent away."""
    number = itertools.count()
    queue: list[tuple[float, int, float | None, bool]]
    queue = [(at, next(number), None, False) for at in arrivals]
    heapq.heapify(queue)
    times: list[float] = []
    while queue:
        now, _, began, came_back = heapq.heappop(queue)
        if began is not None:
            lane.leave(now, began)
            continue
        entered = lane.enter(now, came_back=came_back)
        if isinstance(entered, Go):
            assert entered.begins - now <= LONGEST_WAIT
            assert lane.in_use <= lane.places
            times.append(entered.begins)
            heapq.heappush(queue, (entered.begins + takes, next(number), entered.begins, False))
        else:
            heapq.heappush(queue, (now + entered.seconds, next(number), None, True))
    return sorted(times)


def most_within(times: list[float], seconds: float) -> int:
    return max(bisect_left(times, start + seconds) - nth for nth, start in enumerate(times))


@pytest.mark.parametrize("per_second", [0.5, 10, 450])
def test_rate_holds_over_any_window(per_second):
    arrivals = [number * 0.001 for number in range(int(30 * per_second))]
    times = sent(Lane(places=100, per_second=per_second), arrivals)
    assert len(times) == len(arrivals)
    assert most_within(times, 3) <= 3 * per_second + 1


def test_rate_is_used_up_while_there_is_something_to_send():
    times = sent(Lane(places=100, per_second=10), [0.0] * 300)
    assert times[-1] < 300 / 10 * 1.1


def test_no_more_than_its_places_are_taken_and_all_get_their_turn():
    lane = Lane(places=4, per_second=900)
    times = sent(lane, [number * 0.01 for number in range(200)], takes=10)
    assert len(times) == 200
    assert times[-1] < 200 / 4 * 10 * 1.5
    assert lane.in_use == 0


def test_who_was_sent_away_goes_before_who_comes_in():
    lane = Lane(places=2, per_second=900)
    assert isinstance(lane.enter(0.0, came_back=False), Go)
    assert isinstance(lane.enter(0.0, came_back=False), Go)
    away = lane.enter(0.0, came_back=False)
    assert isinstance(away, Away)
    lane.leave(0.01, 0.0)
    assert isinstance(lane.enter(0.01, came_back=False), Away)
    assert isinstance(lane.enter(0.01, came_back=True), Go)


def test_few_tries_are_wasted_on_a_connection_that_answers_nothing_yet():
    """Before the first request has ended, those under way say how long it takes."""
    lane, tries = Lane(places=20, per_second=900), 0
    due = [(number * 0.01, False) for number in range(1_000)]
    while due and due[0][0] < 10:
        at, came_back = heapq.heappop(due)
        entered = lane.enter(at, came_back=came_back)
        tries += 1
        if isinstance(entered, Away):
            heapq.heappush(due, (at + entered.seconds, True))
    assert tries < 1_500


def test_idle_lane_takes_whoever_comes_though_many_are_away():
    lane = Lane(places=4, per_second=900)
    for _ in range(100):
        lane.enter(0.0, came_back=False)
    for began in list(lane._in_flight):
        lane.leave(0.2, began)
    assert isinstance(lane.enter(0.2, came_back=False), Go)


def test_each_is_sent_away_for_longer_than_the_one_before_but_not_for_ever():
    lane = Lane(places=1, per_second=0.1)
    lane.enter(0.0, came_back=False)
    entered = [lane.enter(0.0, came_back=False) for _ in range(200)]
    aways = [away.seconds for away in entered if isinstance(away, Away)]
    assert len(aways) == 200
    assert aways == sorted(aways)
    assert aways[0] >= 10
    assert aways[-1] == LONGEST_DELAY


@pytest.mark.parametrize("count", [3_000, 10_000])
def test_a_backlog_longer_than_anyone_is_sent_away_is_sent_at_the_rate_and_then_forgotten(count):
    lane = Lane(places=20, per_second=1)
    ended = sent(lane, [0.0] * count)[-1]
    assert ended < count * 1.1
    identify = lane.enter(ended + 2, came_back=False)
    assert identify == Go(ended + 2)
    lane.leave(ended + 2.6, identify.begins)
    assert isinstance(lane.enter(ended + 2.6, came_back=False), Go)  # its track


def test_after_an_hour_in_which_nothing_may_be_sent_the_rate_is_used_up_again():
    lane = Lane(places=20, per_second=10)
    lane.wait_until(3_600)
    assert sent(lane, [0.0] * 2_000)[-1] < 3_600 + 2_000 / 10 * 1.1


def test_too_many_requests_stops_everyone_then_halves_the_rate():
    lane = Lane(places=10, per_second=100)
    lane.enter(0.0, came_back=False)
    assert lane.slow_down(1.0, 0.5, seconds=30)
    refused = lane.enter(1.0, came_back=True)
    assert isinstance(refused, Away)
    assert refused.seconds >= 30
    assert lane.slowness(1.0) == 0.5
    assert lane.slowness(1.0 + RECOVERY) == 1.0


def test_requests_under_way_together_slow_it_down_once():
    lane = Lane(places=10, per_second=100)
    assert lane.slow_down(1.0, 0.9, seconds=1)
    assert not lane.slow_down(1.1, 0.95, seconds=1)
    assert lane.slow_down(2.5, 2.1, seconds=1)
    assert lane.slowness(2.5) < 0.5


def test_one_refusal_among_many_answers_is_a_pause_and_no_lower_rate():
    lane = Lane(places=10, per_second=100)
    for number in range(40):
        lane.enter(number / 10, came_back=False)
        lane.leave(number / 10 + 0.05, number / 10)
    assert lane.slow_down(4.0, 3.95, seconds=1)
    assert lane.slowness(4.0) == 1
    refused = lane.enter(4.0, came_back=True, longest_wait=0.5)
    assert isinstance(refused, Away)
    for number in range(5):  # but when they become a tenth of the answers, it is lowered
        lane.slow_down(6.0 + number, 5.9 + number, seconds=1)
    assert lane.slowness(10.0) < 1


def test_nothing_is_sent_without_a_share():
    lane = Lane(places=10, per_second=0)
    assert isinstance(lane.enter(0.0, came_back=True), Away)
