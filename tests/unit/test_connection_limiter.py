"""A connection keeps its rate and its places, and is probed while it only fails."""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left

import pytest

from activities.connection_limiter import (
    FAILING,
    FIRST_PLACES,
    LONGEST_DELAY,
    LONGEST_WAIT_OF_FEW,
    PROBE_FIRST,
    PROBE_LONGEST,
    Admitted,
    Answer,
    ConnectionLimiter,
    SentBack,
    Try,
)

NEW = Try("an event")
BACK = Try("an event", came_back=True)


def open_limiter(places: int, per_second: float) -> ConnectionLimiter:
    """One whose requests have been answered before."""
    return ConnectionLimiter(places, per_second, _opened=places)


def admitted(answer: Admitted | SentBack) -> Admitted:
    assert isinstance(answer, Admitted)
    return answer


def sent_back(answer: Admitted | SentBack | None) -> float:
    assert isinstance(answer, SentBack)
    return answer.seconds


def sent(limiter: ConnectionLimiter, arrivals: list[float], *, takes: float = 0.01) -> list[float]:
    """When requests are sent that arrive then, each coming back after its delay."""
    number = itertools.count()
    queue: list[tuple[float, int, Admitted | None, bool]]
    queue = [(at, next(number), None, False) for at in arrivals]
    heapq.heapify(queue)
    times: list[float] = []
    while queue:
        now, _, ended, came_back = heapq.heappop(queue)
        if ended is not None:
            limiter.learn(now, ended, Answer.ACCEPTED)
            limiter.release(now, ended)
            continue
        answer = limiter.admit(now, BACK if came_back else NEW)
        if isinstance(answer, Admitted):
            assert answer.starts_at - now <= LONGEST_WAIT_OF_FEW
            assert limiter.in_use <= limiter.places
            times.append(answer.starts_at)
            heapq.heappush(queue, (answer.starts_at + takes, next(number), answer, False))
        else:
            heapq.heappush(queue, (now + answer.seconds, next(number), None, True))
    return sorted(times)


def most_within(times: list[float], seconds: float) -> int:
    return max(bisect_left(times, start + seconds) - nth for nth, start in enumerate(times))


def answered(limiter: ConnectionLimiter, now: float, answer: Answer, event: str = "") -> None:
    """One request of that event, answered so within a hundredth of a second."""
    one = admitted(limiter.admit(now, Try(event, test=True)))
    limiter.learn(one.starts_at + 0.01, one, answer)
    limiter.release(one.starts_at + 0.01, one)


@pytest.mark.parametrize("per_second", [0.5, 10, 450])
def test_rate_holds_over_any_window(per_second):
    arrivals = [number * 0.001 for number in range(int(30 * per_second))]
    times = sent(ConnectionLimiter(places=100, per_second=per_second), arrivals)
    assert len(times) == len(arrivals)
    assert most_within(times, 3) <= 3 * per_second + 1


def test_rate_is_used_up_while_there_is_something_to_send():
    times = sent(ConnectionLimiter(places=100, per_second=10), [0.0] * 300)
    assert times[-1] < 300 / 10 * 1.1


def test_a_few_requests_at_first_and_more_as_they_are_answered():
    limiter = ConnectionLimiter(places=20, per_second=900)
    answers = [limiter.admit(0.0, NEW) for _ in range(20)]
    went = [one for one in answers if isinstance(one, Admitted)]
    assert len(went) == FIRST_PLACES
    for one in went:
        limiter.learn(0.1, one, Answer.ACCEPTED)
        limiter.release(0.1, one)
    again = [limiter.admit(0.2, BACK) for _ in range(20)]
    assert FIRST_PLACES < sum(isinstance(one, Admitted) for one in again) < 20


def test_no_more_than_its_places_are_taken_and_all_get_their_turn():
    limiter = ConnectionLimiter(places=4, per_second=900)
    times = sent(limiter, [number * 0.01 for number in range(200)], takes=10)
    assert len(times) == 200
    assert times[-1] < 200 / 4 * 10 * 1.5
    assert limiter.in_use == 0


def test_who_was_sent_back_goes_before_who_comes_in():
    limiter = ConnectionLimiter(places=2, per_second=900)
    first = admitted(limiter.admit(0.0, NEW))
    admitted(limiter.admit(0.0, NEW))
    sent_back(limiter.admit(0.0, NEW))
    limiter.release(0.01, first)
    sent_back(limiter.admit(0.01, NEW))
    admitted(limiter.admit(0.01, BACK))


def test_few_tries_are_wasted_on_a_connection_that_answers_nothing_yet():
    """Before the first request has ended, those in flight say how long it takes."""
    limiter, tries = open_limiter(places=20, per_second=900), 0
    due = [(number * 0.01, False) for number in range(1_000)]
    while due and due[0][0] < 10:
        at, came_back = heapq.heappop(due)
        answer = limiter.admit(at, BACK if came_back else NEW)
        tries += 1
        if isinstance(answer, SentBack):
            heapq.heappush(due, (at + answer.seconds, True))
    assert tries < 1_500


def test_an_idle_limiter_admits_whoever_comes_though_many_wait():
    limiter = ConnectionLimiter(places=4, per_second=900)
    for one in [limiter.admit(0.0, NEW) for _ in range(100)]:
        if isinstance(one, Admitted):
            limiter.release(0.2, one)
    admitted(limiter.admit(0.2, NEW))


def test_each_is_sent_back_for_longer_than_the_one_before_but_not_for_ever():
    limiter = ConnectionLimiter(places=1, per_second=0.1)
    limiter.admit(0.0, NEW)
    delays = [sent_back(limiter.admit(0.0, NEW)) for _ in range(200)]
    assert delays == sorted(delays)
    assert delays[0] >= 10
    assert delays[-1] == LONGEST_DELAY


@pytest.mark.parametrize("count", [3_000, 10_000])
def test_a_backlog_longer_than_anyone_is_sent_back_is_sent_at_the_rate_and_then_forgotten(count):
    limiter = ConnectionLimiter(places=20, per_second=1)
    ended = sent(limiter, [0.0] * count)[-1]
    assert ended < count * 1.05
    identify = admitted(limiter.admit(ended + 2, NEW))
    assert identify.starts_at == ended + 2
    limiter.release(ended + 2.6, identify)
    admitted(limiter.admit(ended + 2.6, NEW))  # its track


def test_after_an_hour_in_which_nothing_may_be_sent_the_rate_is_used_up_again():
    limiter = ConnectionLimiter(places=20, per_second=10)
    limiter.wait_until(0.0, 3_600)
    assert sent(limiter, [0.0] * 2_000)[-1] < 3_600 + 2_000 / 10 * 1.1


def test_nothing_is_sent_without_a_share():
    sent_back(ConnectionLimiter(places=10, per_second=0).admit(0.0, BACK))


def test_a_pace_of_its_own_waits_for_no_other():
    limiter = open_limiter(places=20, per_second=1)
    busy, idle = Try("an event", pace="busy"), Try("another", pace="idle")
    answers = [limiter.admit(0.0, busy) for _ in range(100)]
    assert isinstance(answers[-1], SentBack)
    assert admitted(limiter.admit(0.0, idle)).starts_at == 0.0
    assert admitted(limiter.admit(0.0, idle)).starts_at == 1.0


def test_paces_together_take_no_more_than_the_places_of_their_connection():
    limiter = open_limiter(places=4, per_second=100)
    answers = [limiter.admit(0.0, Try("an event", pace=str(number))) for number in range(10)]
    assert sum(isinstance(one, Admitted) for one in answers) == 4


def test_a_lone_refusal_costs_nobody_else():
    limiter = ConnectionLimiter(places=10, per_second=100)
    for number in range(10):
        answered(limiter, number * 0.1, Answer.ACCEPTED)
    answered(limiter, 1.0, Answer.REFUSED)
    assert [admitted(limiter.admit(1.1, NEW)).starts_at for _ in range(2)] == [1.1, 1.11]


def test_many_refusals_stop_all_workers_once_and_then_mean_less():
    limiter = ConnectionLimiter(places=10, per_second=100)
    for number in range(20):
        answered(limiter, number * 0.05, Answer.ACCEPTED)
    together = [admitted(limiter.admit(1.0, BACK)) for _ in range(6)]
    pauses = [limiter.learn(1.1, one, Answer.REFUSED) for one in together]
    assert [pause for pause in pauses if pause is not None] == [1.0]
    for one in together:
        limiter.release(1.1, one)
    first, second = (admitted(limiter.admit(1.2, BACK)) for _ in range(2))
    assert first.starts_at == 2.1
    assert second.starts_at - first.starts_at > 1 / 20


def test_what_the_vendor_asks_is_obeyed_by_all_and_told_once():
    limiter = ConnectionLimiter(places=10, per_second=100)
    first, second = (admitted(limiter.admit(0.0, NEW)) for _ in range(2))
    assert limiter.learn(0.1, first, Answer.REFUSED, 30.0) == 30
    assert limiter.learn(0.11, second, Answer.REFUSED, 30.0) is None
    for one in (first, second):
        limiter.release(0.11, one)
    other = ConnectionLimiter(places=10, per_second=100)
    other.wait_until(0.1, 30.1)
    for worker in (limiter, other):
        assert sent_back(worker.admit(0.2, BACK)) >= 29.9


def test_who_waits_for_its_moment_is_not_sent_when_all_are_stopped_meanwhile():
    limiter = ConnectionLimiter(places=10, per_second=2)
    first, second = (admitted(limiter.admit(0.0, NEW)) for _ in range(2))
    assert second.starts_at == 0.5
    assert limiter.stopped(0.0, second) is None
    limiter.learn(0.1, first, Answer.REFUSED, 30.0)
    assert sent_back(limiter.stopped(0.5, second)) >= 29.6
    assert limiter.stopped(30.2, second) is None


def failing_limiter() -> tuple[ConnectionLimiter, float]:
    """One for which enough events have just failed, and when."""
    limiter = open_limiter(places=20, per_second=900)
    for number in range(FAILING):
        answered(limiter, number * 0.1, Answer.FAILED, str(number))
    return limiter, FAILING * 0.1


def test_a_failing_connection_is_probed_at_growing_intervals():
    limiter, now = failing_limiter()
    sent_back(limiter.admit(now, NEW))
    probes: list[float] = []
    while len(probes) < 7:
        now += 0.01
        answer = limiter.admit(now, BACK)
        if isinstance(answer, Admitted):
            probes.append(now)
            limiter.learn(now, answer, Answer.FAILED)
            limiter.release(now, answer)
    waits = [round(later - earlier) for earlier, later in itertools.pairwise(probes)]
    assert waits == [2, 4, 8, 15, 15, 15]
    assert waits[-1] == PROBE_LONGEST


@pytest.mark.parametrize("backlog", [30, 10_000])
def test_tries_of_a_failing_connection_grow_with_time_and_not_with_the_backlog(backlog):
    limiter, now = failing_limiter()
    due = [now] * backlog
    requests = 0
    while due[0] < now + 3_600:
        at = heapq.heappop(due)
        answer = limiter.admit(at, BACK)
        if isinstance(answer, Admitted):
            requests += 1
            limiter.learn(at + 0.05, answer, Answer.FAILED)
            limiter.release(at + 0.05, answer)
            heapq.heappush(due, at + 1)
        else:
            heapq.heappush(due, at + answer.seconds)
    assert 3_600 / PROBE_LONGEST / 2 <= requests <= 3_600 / PROBE_LONGEST + 10


@pytest.mark.parametrize("answer", [Answer.ACCEPTED, Answer.REFUSED])
def test_one_answer_opens_a_failing_connection(answer):
    limiter, now = failing_limiter()
    probe = admitted(limiter.admit(now + PROBE_FIRST, BACK))
    limiter.learn(now + PROBE_FIRST, probe, answer)
    limiter.release(now + PROBE_FIRST, probe)
    for _ in range(FIRST_PLACES):
        admitted(limiter.admit(now + 3 * PROBE_FIRST, BACK))


def test_a_test_event_is_sent_to_a_failing_connection():
    limiter, now = failing_limiter()
    admitted(limiter.admit(now, Try("a test", test=True)))


def test_one_event_that_always_fails_does_not_hold_up_its_connection():
    limiter = ConnectionLimiter(places=20, per_second=900)
    for number in range(10 * FAILING):
        answered(limiter, number * 1.0, Answer.FAILED, "the same event")
        admitted(limiter.admit(number + 0.5, NEW))
        limiter._in_flight.clear()


def test_failures_between_other_answers_are_no_outage():
    limiter = ConnectionLimiter(places=20, per_second=900)
    for number in range(10 * FAILING):
        answer = Answer.FAILED if number % FAILING else Answer.ACCEPTED
        answered(limiter, number * 0.1, answer, str(number))
        assert not limiter.failing


def test_who_comes_in_makes_the_next_probe_before_those_that_wait():
    limiter, now = failing_limiter()
    waiting = [sent_back(limiter.admit(now, BACK)) for _ in range(50)]
    assert sent_back(limiter.admit(now, NEW)) < min(waiting)


def test_what_waits_is_brought_forward_once_after_an_outage():
    limiter, now = failing_limiter()
    for _ in range(100):
        sent_back(limiter.admit(now, BACK))
    assert not limiter.works_again(now)
    answered(limiter, now + PROBE_FIRST, Answer.ACCEPTED)
    assert limiter.works_again(now + PROBE_FIRST)
    assert not limiter.works_again(now + PROBE_FIRST)


def test_nothing_is_brought_forward_where_little_waits():
    limiter, now = failing_limiter()
    sent_back(limiter.admit(now, BACK))
    answered(limiter, now + PROBE_FIRST, Answer.ACCEPTED)
    assert not limiter.works_again(now + PROBE_FIRST)


def test_there_is_room_while_none_waits_for_a_turn_and_places_are_free():
    limiter = open_limiter(places=2, per_second=900)
    first = admitted(limiter.admit(0.0, NEW))
    assert limiter.has_room(0.1)
    admitted(limiter.admit(0.1, NEW))
    assert not limiter.has_room(0.2)
    turn = sent_back(limiter.admit(0.2, NEW))
    limiter.release(0.2, first)
    assert not limiter.has_room(0.2)
    assert limiter.has_room(0.2 + turn)
    limiter.wait_until(1.0, 5.0)
    assert not limiter.has_room(4.0)
