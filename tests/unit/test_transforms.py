"""Each transform gives one value, or says why it can't without showing what it was given."""

from __future__ import annotations

from typing import Any

import pytest
from delivery_samples import mapping, path

from delivery.mapping_schema import Transform
from delivery.transforms import TransformError, apply, to_string

ALL = (
    "to_string",
    "to_number",
    "to_boolean",
    "to_date",
    "to_datetime",
    "trim",
    "lower",
    "upper",
    "substring",
)


def transform(kind: str, /, **options: Any) -> Transform:
    if kind == "substring":
        options.setdefault("start", 0)
    return mapping(path("field", "a", {"type": kind, **options})).fields[0].transforms[0]


def applied(kind: str, given: Any, /, **options: Any) -> Any:
    return apply(transform(kind, **options), given)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("to_string", "text", "text"),
        ("to_string", "", ""),
        ("to_string", 2048, "2048"),
        ("to_string", 2048.0, "2048"),
        ("to_string", 0.1, "0.1"),
        ("to_string", True, "true"),
        ("to_string", {"a": ["é", None]}, '{"a":["é",null]}'),
        ("to_number", 7, 7),
        ("to_number", 0.5, 0.5),
        ("to_number", " 12 ", 12),
        ("to_number", "-1.5e3", -1500.0),
        ("to_number", "+5", 5),
        ("to_number", "007", 7),
        ("to_number", "1" * 300, int("1" * 300)),
        ("to_number", " ", None),
        ("to_boolean", True, True),
        ("to_boolean", 0, False),
        ("to_boolean", 1.0, True),
        ("to_boolean", " YES ", True),
        ("to_boolean", "off", False),
        ("to_boolean", "N", False),
        ("to_boolean", "1", True),
        ("to_boolean", "", None),
        ("to_datetime", "2026-11-23T18:00:00.123456+02:00", "2026-11-23T16:00:00.123Z"),
        ("to_datetime", "2026-11-23T18:00:00", "2026-11-23T18:00:00.000Z"),
        ("to_datetime", " 2026-11-23 ", "2026-11-23T00:00:00.000Z"),
        ("to_datetime", 1764000000, "2025-11-24T16:00:00.000Z"),
        ("to_datetime", 1764000000123, "2025-11-24T16:00:00.123Z"),
        ("to_datetime", 1764000000.5, "2025-11-24T16:00:00.500Z"),
        ("to_datetime", 0, "1970-01-01T00:00:00.000Z"),
        ("to_datetime", -1, "1969-12-31T23:59:59.000Z"),
        ("to_datetime", 99_999_999_999, "5138-11-16T09:46:39.000Z"),
        ("to_datetime", 100_000_000_000, "1973-03-03T09:46:40.000Z"),
        ("to_datetime", " ", None),
        ("to_date", "2026-11-23T23:30:00Z", "2026-11-23"),
        ("to_date", 1764000000, "2025-11-24"),
        ("trim", " \ta b\n", "a b"),
        ("trim", 7, "7"),
        ("lower", "ÄB", "äb"),
        ("lower", True, "true"),
        ("upper", "straße", "STRASSE"),
        ("upper", 1e22, "1E+22"),
    ],
)
def test_each_gives_what_its_table_says(kind, value, expected):
    given = applied(kind, value)
    assert given == expected
    assert type(given) is type(expected)


@pytest.mark.parametrize("kind", ALL)
def test_null_passes_every_one_but_default(kind):
    assert applied(kind, None) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "d"), ("", "d"), (" \n", "d"), (0, 0), (False, False), ([], []), ("x", "x")],
)
def test_default_stands_for_null_and_blank_text_only(value, expected):
    assert applied("default", value, value="d") == expected


@pytest.mark.parametrize("value", [0, False, 1.5, None])
def test_a_default_may_be_any_plain_value(value):
    given = applied("default", None, value=value)
    assert given == value
    assert type(given) is type(value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"start": 1}, "😀éx"),
        ({"start": 0, "length": 2}, "a😀"),
        ({"start": 2, "length": 100}, "éx"),
        ({"start": 4}, ""),
        ({"start": 10**30, "length": 10**30}, ""),
    ],
)
def test_substring_counts_code_points(options, expected):
    assert applied("substring", "a😀éx", **options) == expected


@pytest.mark.parametrize(
    ("value", "zone", "moment", "day"),
    [
        ("2026-11-23T00:30:00", "Europe/Berlin", "2026-11-22T23:30:00.000Z", "2026-11-23"),
        ("2026-07-01", "Europe/Berlin", "2026-06-30T22:00:00.000Z", "2026-07-01"),
        ("2026-11-23T23:30:00Z", "Europe/Berlin", "2026-11-23T23:30:00.000Z", "2026-11-24"),
        ("2026-11-23T01:00:00Z", "America/New_York", "2026-11-23T01:00:00.000Z", "2026-11-22"),
        (1764000000, "Asia/Kolkata", "2025-11-24T16:00:00.000Z", "2025-11-24"),
        ("2026-11-23T00:30:00", "UTC", "2026-11-23T00:30:00.000Z", "2026-11-23"),
        ("2026-11-23T00:30:00", "Etc/GMT+5", "2026-11-23T05:30:00.000Z", "2026-11-23"),
    ],
)
def test_a_zone_is_where_a_time_without_offset_is_read_and_a_day_is_told(value, zone, moment, day):
    assert applied("to_datetime", value, timezone=zone) == moment
    assert applied("to_date", value, timezone=zone) == day


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "Berlin",
        "localtime",
        "Mars/Olympus",
        "right/Europe/Berlin",
        "posix/Europe/Berlin",
        "America/Argentina",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/Berlin\0",
        "Europe/" + "B" * 300,
    ],
)
def test_a_zone_that_is_unknown_or_depends_on_the_machine_is_refused(zone):
    with pytest.raises(TransformError, match="unknown time zone"):
        applied("to_date", "2026-11-23", timezone=zone)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("to_number", "twelve"),
        ("to_number", "1,5"),
        ("to_number", "1_000"),
        ("to_number", "0x1f"),
        ("to_number", ".5"),
        ("to_number", "inf"),
        ("to_number", "nan"),
        ("to_number", "1e999"),
        ("to_number", "9" * 310),
        ("to_number", "0" * 1_001),
        ("to_number", "٣"),
        ("to_number", True),
        ("to_number", []),
        ("to_boolean", "maybe"),
        ("to_boolean", 2),
        ("to_boolean", 0.5),
        ("to_boolean", {}),
        ("to_datetime", "yesterday"),
        ("to_datetime", "0001-01-01T00:00:00+01:00"),
        ("to_datetime", 10**300),
        ("to_datetime", -1e308),
        ("to_datetime", 1e15),
        ("to_datetime", True),
        ("to_datetime", ["2026-11-23"]),
        ("to_date", {"at": 1}),
        ("trim", {}),
        ("lower", ["A"]),
        ("upper", []),
        ("substring", {"a": 1}),
    ],
)
def test_what_one_can_not_take_is_refused_by_kind(kind, value):
    with pytest.raises(TransformError, match=kind) as caught:
        applied(kind, value)
    assert "twelve" not in str(caught.value)
    assert "yesterday" not in str(caught.value)


def test_a_day_at_the_end_of_the_calendar_is_refused_not_miscounted():
    with pytest.raises(TransformError, match="years 1 to 9999"):
        applied("to_date", "9999-12-31T23:30:00Z", timezone="Europe/Berlin")


def test_whole_numbers_are_told_without_a_fraction_as_long_as_they_are_exact():
    assert to_string(2.0**53) == "9007199254740992"
    assert to_string(2.0**53 * 2) == "1.8014398509481984e+16"
