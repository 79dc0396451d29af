"""What an answer means and what happens next, by its status alone."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from delivery_samples import NOW
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.outcome import (
    BACKOFF_LONGEST,
    DELIVERY_DEADLINE,
    Outcome,
    OutcomeCode,
    Then,
    parse_retry_after,
    retry_delay,
)

DELIVERED = (OutcomeCode.DELIVERED, Then.DONE)
SERVER_ERROR = (OutcomeCode.REJECTED_SERVER_ERROR, Then.RETRY)
RATE_LIMITED = (OutcomeCode.RATE_LIMITED, Then.RETRY)
AUTH_FAILED = (OutcomeCode.AUTH_FAILED, Then.HOLD)
CLIENT_ERROR = (OutcomeCode.REJECTED_CLIENT_ERROR, Then.STOP)

TABLE = {
    DELIVERED: [200, 201, 202, 204, 207, 299],
    SERVER_ERROR: [408, 500, 501, 502, 503, 504, 507, 520, 522, 524, 598, 599],
    RATE_LIMITED: [429],
    AUTH_FAILED: [401, 403],
    CLIENT_ERROR: [
        *[300, 301, 302, 303, 304, 307, 308],
        *[400, 402, 404, 405, 406, 407, 409, 410, 411, 413, 415, 418, 422, 425, 426, 451, 499],
    ],
}


@pytest.mark.parametrize(
    ("status", "expected"),
    [(status, expected) for expected, statuses in TABLE.items() for status in statuses],
)
def test_each_status_has_one_outcome(status, expected):
    outcome = Outcome.of_answer(status)
    assert (outcome.code, outcome.then) == expected
    assert outcome.status_code == status
    assert str(status) in outcome.message


@pytest.mark.parametrize("body", ["", "{}", "<html>", '{"meta":{"errors":["unauthorized"]}}'])
def test_a_body_never_changes_the_outcome(body):
    assert Outcome.of_answer(200, excerpt=body).then is Then.DONE
    assert Outcome.of_answer(503, excerpt=body).then is Then.RETRY


def test_what_came_back_is_kept_beside_the_outcome_and_not_in_its_message():
    outcome = Outcome.of_answer(429, excerpt="slow down", retry_after="7")
    assert outcome.response_excerpt == "slow down"
    assert outcome.retry_after == "7"
    assert "slow down" not in outcome.message
    assert Outcome.of_answer(204).response_excerpt is None


def test_a_refused_key_may_be_of_the_other_region_and_a_redirect_too():
    assert "wrong key or wrong region" in Outcome.of_answer(401).message
    assert "region" in Outcome.of_answer(302).message


def seconds(header: str | None) -> float | None:
    wait = parse_retry_after(header, NOW)
    return None if wait is None else wait.total_seconds()


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, None),
        ("2", 2),
        (" 120 ", 120),
        ("1.5", 1.5),
        ("0", 1),
        ("0.2", 1),
        ("3600", 3600),
        ("3601", 3600),
        ("999999", 3600),
        ("9" * 400, None),  # read as infinity, which nobody means
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("abc", None),
        ("2 s", None),
        ("Mon, 23 Nov 2026 18:00:30 GMT", 30),
        ("Monday, 23-Nov-26 18:00:30 GMT", 30),
        ("Mon Nov 23 18:00:30 2026", 30),
        ("Mon, 23 Nov 2026 20:00:30 +0200", 30),
        ("Mon, 23 Nov 2026 17:00:00 GMT", 1),
        ("Tue, 24 Nov 2026 18:00:00 GMT", 3600),
        ("Mon, 23 Nov 9999 18:00:00 GMT", 3600),
        ("Mon, 32 Nov 2026 18:00:00 GMT", None),
        ("Mon, 23 Nov 99999999999 18:00:00 GMT", None),
        ("2026-11-23T18:00:30Z", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_between_a_second_and_an_hour(header, wait):
    assert seconds(header) == wait


def test_a_date_is_taken_from_now_wherever_now_is_told():
    there = NOW.astimezone(timezone(timedelta(hours=-7)))
    assert parse_retry_after("Mon, 23 Nov 2026 18:00:30 GMT", there) == timedelta(seconds=30)


@settings(deadline=None, max_examples=300)
@given(
    st.text()
    | st.from_regex(
        r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,12} [0-9:]{0,9} [+-]?[0-9A-Z]*"
    )
)
def test_any_header_is_read_or_passed_over(header):
    wait = seconds(header)
    assert wait is None or 1 <= wait <= 3600


@pytest.mark.parametrize(
    ("failures", "base"),
    [(1, 1), (2, 2), (3, 4), (5, 16), (10, 512), (11, 900), (50, 900), (10**6, 900)],
)
def test_waits_double_from_one_second_to_fifteen_minutes_give_or_take_a_fifth(failures, base):
    def wait(random: float) -> timedelta:
        return retry_delay(failures, retry_after=None, now=NOW, random=random)

    assert wait(0.0) == timedelta(seconds=base * 0.8)
    assert wait(0.5) == timedelta(seconds=base)
    assert wait(1.0) == timedelta(seconds=base * 1.2)


@pytest.mark.parametrize("failures", [1, 40])
def test_retry_after_takes_the_place_of_the_back_off_and_is_never_undercut(failures):
    for random in (0.0, 0.5, 0.999):
        wait = retry_delay(failures, retry_after="60", now=NOW, random=random)
        assert timedelta(seconds=60) <= wait <= timedelta(seconds=72)


def test_an_unreadable_retry_after_leaves_the_back_off():
    for header in ("abc", "-1"):
        wait = retry_delay(3, retry_after=header, now=NOW, random=0.5)
        assert wait == timedelta(seconds=4)


@settings(deadline=None, max_examples=200)
@given(
    st.integers(-1, 10**9),
    st.none() | st.text(max_size=8) | st.integers(-10, 10**7).map(str),
    st.floats(0, 1, exclude_max=True),
    st.datetimes(),
)
def test_every_wait_lies_between_most_of_a_second_and_an_hour_and_a_fifth(
    failures, header, random, now: datetime
):
    now = now.replace(tzinfo=NOW.tzinfo)
    wait = retry_delay(failures, retry_after=header, now=now, random=random)
    assert timedelta(seconds=0.8) <= wait <= timedelta(hours=1.2)
    if parse_retry_after(header, now) is None:
        assert wait <= BACKOFF_LONGEST * 1.2


def test_a_delivery_is_given_up_when_it_would_start_no_campaign_any_more():
    assert timedelta(hours=72) == DELIVERY_DEADLINE
