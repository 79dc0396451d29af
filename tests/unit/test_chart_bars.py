"""The bars of a chart: they cover the chosen range, and stay the same as time passes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starter.console.event_filter import DAYS_AGO, RANGES, EventFilter

NOW = datetime(2026, 11, 24, 9, 17, 42, 123456, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)
ZONES = st.sampled_from(["UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Auckland"]).map(
    ZoneInfo
)


@given(st.sampled_from(sorted(RANGES)), MOMENTS, ZONES)
def test_bars_cover_the_chosen_time_and_are_few(chosen: str, now: datetime, zone: ZoneInfo) -> None:
    asked = EventFilter(range=chosen, zone=zone)
    start, end = asked.bounds(now)
    edges = asked.bars(now)
    assert edges[0] == start
    assert edges[-1] == end if chosen == "yesterday" else edges[-1] >= end
    assert all(earlier < later for earlier, later in pairwise(edges))
    assert len(edges) <= 33


@given(MOMENTS, st.timedeltas(timedelta(seconds=1), timedelta(days=900)))
def test_bars_of_exact_times_end_where_these_do(start: datetime, length: timedelta) -> None:
    asked = EventFilter(start=start, end=start + length)
    edges = asked.bars(NOW)
    assert (edges[0], edges[-1]) == (start, start + length)
    assert all(earlier < later for earlier, later in pairwise(edges))
    assert len(edges) <= 33


@pytest.mark.parametrize("chosen", sorted(RANGES.keys() - DAYS_AGO.keys()))
def test_bars_stay_the_same_while_a_page_is_open(chosen: str) -> None:
    asked = EventFilter(range=chosen)
    now = NOW.replace(minute=0, second=1)
    assert asked.bars(now) == asked.bars(now + timedelta(seconds=3))
    later = asked.bars(now + (asked.bars(now)[2] - asked.bars(now)[1]))
    assert set(asked.bars(now)[2:-1]) <= set(later)


def test_bars_start_at_round_times_where_the_visitor_is() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    edges = EventFilter(range="24h", zone=zone).bars(NOW)
    assert {edge.astimezone(zone).strftime("%M:%S") for edge in edges[1:]} == {"00:00"}
    days = EventFilter(range="30d", zone=zone).bars(NOW)
    assert {edge.astimezone(zone).strftime("%H:%M:%S") for edge in days[1:]} == {"00:00:00"}
