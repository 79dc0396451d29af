"""Points in time as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import typer

from starter.cli.moments import read_duration, read_moment

SIX = datetime(2026, 11, 23, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("1.5h", timedelta(hours=1.5)),
        ("7d", timedelta(days=7)),
        (" 2w ", timedelta(weeks=2)),
    ],
)
def test_an_age_is_counted_back_from_now(typed: str, ago: timedelta) -> None:
    before = datetime.now(UTC)
    assert before <= read_moment(typed) + ago <= datetime.now(UTC)


def test_a_moment_in_full_is_read_in_its_own_time_zone() -> None:
    assert read_moment("2026-11-23T19:00:00+01:00") == SIX
    assert read_moment("2026-11-23T18:00:00Z") == SIX


@pytest.mark.parametrize(
    "typed",
    [
        *("", "2", "h", "-2h", "yesterday", "2026-11-23T18:00:00", "9" * 30 + "w"),
        *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"),
    ],
)
def test_anything_else_is_refused(typed: str) -> None:
    with pytest.raises(typer.BadParameter):
        read_moment(typed)


@pytest.mark.parametrize("typed", ["", "2", "never", "2026-11-23T18:00:00Z", "9" * 30 + "w"])
def test_what_is_no_length_of_time_or_too_long_is_refused_by_its_option(typed: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        read_duration(typed, "--for")
    assert refused.value.param_hint == "--for"
