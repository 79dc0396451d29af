"""A vendor's limit is found, kept and searched for again; chance refusals are none."""

from __future__ import annotations

from activities.accepted_rate import BELIEVED, IN_A_ROW, MANY, AcceptedRate


def found(rate: AcceptedRate, limit: int = 20) -> float:
    """A vendor accepted `limit` requests in a second and refuses the rest; when that was found."""
    for number in range(limit):
        rate.accept(number / limit)
    for _ in range(IN_A_ROW):
        many = rate.refuse(1.0, 0.99, asked=False)
    assert many
    return 1.0


def used(rate: AcceptedRate, now: float, seconds: float) -> float:
    """The rate is used up for so long, all accepted; when that ends."""
    ends = now + seconds
    while now < ends:
        assert rate.per_second is not None
        now += 1 / rate.per_second
        rate.accept(now)
    return now


def test_many_refusals_show_the_limit_by_what_was_accepted():
    rate = AcceptedRate()
    found(rate)
    assert rate.per_second is not None
    assert 17 <= rate.per_second <= 20


def test_those_under_way_together_lower_it_once():
    rate = AcceptedRate()
    found(rate)
    lowered = rate.per_second
    for _ in range(2 * MANY):
        assert not rate.refuse(1.1, 0.995, asked=False)
    assert rate.per_second == lowered


def test_chance_refusals_lower_nothing():
    rate = AcceptedRate()
    for number in range(5_000):
        now = number / 40
        if number % 50 == 0:
            assert not rate.refuse(now, now, asked=False)
        else:
            rate.accept(now)
    assert rate.per_second is None


def test_a_refusal_at_a_known_limit_lowers_it_a_little():
    rate = AcceptedRate()
    now = used(rate, found(rate) + 1, 5)
    before = rate.per_second
    assert before is not None
    assert not rate.refuse(now, now, asked=False)
    assert rate.per_second is not None
    assert 0.85 * before <= rate.per_second < before


def test_what_was_taken_is_given_back_by_use_alone():
    rate = AcceptedRate()
    now = found(rate) + 1
    lowered = rate.per_second
    assert lowered is not None
    rate.accept(now + 30)  # after a while with little work nothing is known better
    assert rate.per_second == lowered
    used(rate, now + 31, 10)
    assert rate.per_second is not None
    assert lowered < rate.per_second < 1.1 * lowered / 0.9


def test_a_limit_is_searched_for_again_after_a_while():
    rate = AcceptedRate()
    now = used(rate, found(rate) + 1, BELIEVED)
    before = rate.per_second
    assert not rate.refuse(now, now, asked=False)
    assert rate.per_second == before  # one refusal doesn't end the search
    used(rate, now, 30)
    assert rate.per_second is not None
    assert rate.per_second > 100


def test_with_a_word_how_long_to_wait_one_refusal_shows_a_limit():
    rate = AcceptedRate()
    for number in range(20):
        rate.accept(number / 20)
    rate.refuse(1.0, 0.99, asked=True)
    assert rate.per_second is not None
    assert rate.per_second <= 20


def test_without_anything_accepted_a_word_of_others_shows_no_limit():
    rate = AcceptedRate()
    rate.lower(1.0)
    assert rate.per_second is None


def test_a_vendor_that_refuses_all_is_still_tried():
    rate = AcceptedRate()
    for number in range(1_000):
        rate.refuse(float(number), float(number), asked=False)
    assert rate.per_second is not None
    assert 0 < rate.per_second <= 1
