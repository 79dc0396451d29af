"""The id by which a repeated request is known: a ULID that is the same on every attempt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from delivery_samples import EVENT_ID, NOW, RULE
from hypothesis import given, settings
from hypothesis import strategies as st

from destinations.customerio.message_id import message_id

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def decoded(ulid: str) -> int:
    number = 0
    for character in ulid:
        number = number * 32 + CROCKFORD.index(character)
    return number


def test_it_is_this_one():
    """Pinned: another id for a request sent before an upgrade would deliver it twice."""
    assert message_id(EVENT_ID, RULE, "identify", NOW) == "01M84S1580C43NERKR1Y74Y2WV"
    assert message_id(EVENT_ID, RULE, "track", NOW) == "01M84S1580GD0FWXT3486SSYD3"


@settings(deadline=None, max_examples=100)
@given(
    st.text(max_size=40),
    st.datetimes(
        min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC)
    ),
)
def test_it_is_a_ulid_of_the_event_time(rule, moment):
    made = message_id(EVENT_ID, rule, "track", moment)
    assert len(made) == 26
    assert set(made) <= set(CROCKFORD)
    assert decoded(made) < 1 << 128
    assert decoded(made) >> 80 == (moment - EPOCH) // MILLISECOND


def test_it_differs_by_event_rule_and_call():
    made = {
        message_id(event, rule, call, NOW)
        for event in (EVENT_ID, EVENT_ID.replace("5", "6"))
        for rule in (RULE, RULE.replace("7", "8"))
        for call in ("identify", "track")
    }
    assert len(made) == 8


def test_it_is_the_same_however_the_moment_is_written():
    """A redelivery carries the timestamp in milliseconds and in UTC."""
    precise = NOW + timedelta(microseconds=123_999)
    for same in (
        NOW + timedelta(milliseconds=123),
        precise.astimezone(timezone(timedelta(hours=5))),
    ):
        assert message_id(EVENT_ID, RULE, "track", same) == message_id(
            EVENT_ID, RULE, "track", precise
        )


def test_times_that_no_ulid_can_carry_still_give_one():
    before = datetime(1969, 1, 1, tzinfo=UTC)
    assert message_id(EVENT_ID, RULE, "track", before).startswith("0000000000")
