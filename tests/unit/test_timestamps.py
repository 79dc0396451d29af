"""A point in time is read strictly and written in one form."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.timestamps import epoch_milliseconds, iso_milliseconds, read_iso, to_utc

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23", "2026-11-22T23:00:00.000Z"),
        ("2026-07-01", "2026-06-30T22:00:00.000Z"),
        ("2026-11-23T18:00", "2026-11-23T17:00:00.000Z"),
        ("2026-11-23T18:00Z", "2026-11-23T18:00:00.000Z"),
        ("2026-11-23T18:00:00.9999999Z", "2026-11-23T18:00:00.999Z"),
        ("2026-11-23T18:00:00.5+0530", "2026-11-23T12:30:00.500Z"),
        ("2026-11-23T18:00:00-23:59", "2026-11-24T17:59:00.000Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"),
        ("0999-01-01T00:00:00Z", "0999-01-01T00:00:00.000Z"),
    ],
)
def test_iso_8601_is_read_in_the_zone_where_it_names_none(text, expected):
    assert iso_milliseconds(read_iso(text, BERLIN)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026",
        "2026-11",
        "20261123",
        "2026-W48-1",
        "2026-11-23T",
        "2026-11-23T18",
        "2026-11-23T18:00:00Z ",
        "2026-11-23T18:00:00.Z",
        "2026-11-23T18:00:00,5Z",
        "2026-11-23T18:00:00+02",
        "2026-11-23Z",
        "11/23/2026",
        "1764000000",
        "２０２６-11-23",  # full-width digits
        "2026-13-01",
        "2026-02-29",
        "0000-01-01",
        "2026-11-23T24:00Z",
        "2026-11-23T18:60Z",
        "2026-12-31T23:59:60Z",
        "2026-11-23T18:00:00+24:00",
        "2026-11-23T18:00:00+02:60",
    ],
)
def test_any_other_form_and_what_does_not_exist_is_refused(text):
    with pytest.raises(ValueError, match=r"is not an ISO|does not exist"):
        read_iso(text, UTC)


def test_without_an_offset_a_zone_is_needed():
    with pytest.raises(ValueError, match="has no offset"):
        read_iso("2026-11-23T18:00:00")


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-2))),
    ],
)
def test_what_utc_can_not_tell_is_refused(moment):
    with pytest.raises(ValueError, match="years 1 to 9999"):
        to_utc(moment)


@pytest.mark.parametrize(
    ("moment", "milliseconds"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1970, 1, 1, 0, 0, 0, 1999, tzinfo=UTC), 1),
        (datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), -1),
        (datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 0),
    ],
)
def test_epoch_milliseconds_are_rounded_down(moment, milliseconds):
    assert epoch_milliseconds(moment) == milliseconds


@settings(deadline=None, max_examples=100)
@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_back_to_the_millisecond(moment):
    text = iso_milliseconds(moment)
    assert len(text) == 24
    read = read_iso(text)
    assert timedelta(0) <= moment - read < timedelta(milliseconds=1)
    assert iso_milliseconds(read) == text


@settings(deadline=None, max_examples=100)
@given(st.text() | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]{0,15}[Z+]?)?"))
def test_any_text_is_read_or_refused_without_being_quoted(text):
    with contextlib.suppress(ValueError):
        assert read_iso(text, UTC).tzinfo is not None
    with pytest.raises(ValueError) as caught:
        read_iso(f"{text}hunter2", UTC)
    assert "hunter2" not in str(caught.value)
