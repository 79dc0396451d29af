"""A vendor's limit is found, kept and searched for again; refusals by chance are none."""

from __future__ import annotations

import pytest

from activities.pace import DECREASE, GROWTH, IN_A_ROW, MANY, PAUSE, Pace

LIMIT = 20
PLATEAU = (DECREASE * LIMIT / GROWTH) ** (1 / 3)  # seconds until the rate is LIMIT again


def limited() -> Pace:
    """A vendor accepted `LIMIT` requests in a second and refused the next."""
    pace = Pace(known=900)
    for number in range(LIMIT):
        pace.accept(number / LIMIT)
    pauses = [pace.refuse(1.0, 0.99) for _ in range(IN_A_ROW)]
    assert pauses == [None] * (IN_A_ROW - 1) + [PAUSE]
    return pace


def use(pace: Pace, now: float, seconds: float) -> float:
    """The rate is used up for so long, all accepted; when that ends."""
    ends = now + seconds
    while now < ends:
        now += 1 / pace.per_second
        pace.accept(now)
    return now


def test_many_refusals_show_the_limit_by_what_was_accepted():
    assert 0.85 * LIMIT <= limited().per_second < LIMIT


def test_a_limit_is_found_by_the_last_second_when_there_was_little_to_send_before():
    pace = Pace(known=900)
    for moment in (1.0, 2.0, 3.0, *(4 + number / LIMIT for number in range(LIMIT))):
        pace.accept(moment)
    for _ in range(IN_A_ROW):
        pace.refuse(4.99, 4.99)
    assert 0.85 * LIMIT <= pace.per_second < LIMIT


def test_requests_in_flight_together_lower_it_once():
    pace = limited()
    lowered = pace.per_second
    for _ in range(2 * MANY):
        assert pace.refuse(1.1, 0.995) is None
    assert pace.per_second == lowered


def test_chance_refusals_lower_nothing():
    pace = Pace(known=900)
    for number in range(5_000):
        now = number / 40
        if number % 50 == 0:
            assert pace.refuse(now, now) is None
        else:
            pace.accept(now)
    assert pace.per_second == 900


def test_at_a_known_limit_two_refusals_lower_it_again_and_one_does_not():
    pace = limited()
    now = use(pace, 2.0, PLATEAU)
    before = pace.per_second
    assert pace.refuse(now, now) is None
    assert pace.per_second == before
    assert pace.refuse(now, now) is None  # nobody pauses
    assert 0.85 * before <= pace.per_second < before


def test_only_use_raises_the_rate_again():
    pace = limited()
    lowered = pace.per_second
    pace.accept(1_000)
    assert pace.per_second == pytest.approx(lowered, rel=0.01)
    use(pace, 1_000, PLATEAU)
    assert pace.per_second == pytest.approx(LIMIT, rel=0.05)


def test_a_limit_that_is_gone_is_forgotten_within_minutes():
    pace = limited()
    use(pace, 2.0, 6 * PLATEAU)
    assert pace.per_second > 10 * LIMIT


def test_what_is_refused_again_after_a_pause_pauses_this_worker_for_twice_as_long():
    pace, now, pauses = limited(), 1.0, []
    for _ in range(3):
        now += 60
        assert pace.refuse(now, now) is None
        pauses.append(pace.paused_until - now)
    assert pauses == [2 * PAUSE, 4 * PAUSE, 8 * PAUSE]
    now = use(pace, now + 60, 5)
    assert pace.refuse(now, now) is None
    assert pace.paused_until < now


def test_once_another_worker_was_refused_one_refusal_shows_the_limit():
    pace = Pace(known=900)
    for number in range(LIMIT):
        pace.accept(number / LIMIT)
    pace.hear()
    assert pace.refuse(1.0, 0.99) == PAUSE
    assert pace.per_second < LIMIT


def test_a_vendor_that_refuses_all_is_still_tried():
    pace = Pace(known=900)
    for number in range(1_000):
        pace.refuse(float(number), float(number))
    assert 0 < pace.per_second <= 1
