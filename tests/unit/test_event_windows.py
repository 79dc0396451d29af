"""The windows in which a list is read: they lose nothing, repeat nothing, and are few."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.timestamps import EPOCH
from eventlog.event_list import MOST_WINDOWS
from eventlog.windows import FIRST, WHOLE, Windows

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
MOST = 200


def read_page(
    accepted: list[datetime], windows: Windows, wanted: int, *, newest_first: bool = True
) -> tuple[list[datetime], int]:
    """Read until `wanted` events are found, as a list does. Return them, and the number of calls.

    `accepted` is in ascending order. The server lists the newest first, more or less, unless old
    ones are still open.
    """
    found: list[datetime] = []
    asked = 0
    while len(found) <= wanted and not windows.exhausted:
        asked += 1
        end = bisect_left(accepted, windows.upper) if windows.upper else len(accepted)
        held = accepted[bisect_left(accepted, windows.lower) : end]
        if len(held) > MOST and windows.can_narrow:
            first = held[-MOST:] if newest_first else held[:MOST]
            windows.narrow(first, wanted + 1 - len(found))
            continue
        found += held
        windows.advance(len(held), wanted * 3 // 2 + 1, held[-1] if held else None)
    return found, asked


def spread(seconds: float, count: int, *, age: float = 0) -> list[datetime]:
    """`count` events over `seconds`, the newest `age` seconds old."""
    generator = random.Random(count)
    return [NOW - timedelta(seconds=age + generator.random() * seconds) for _ in range(count)]


DAY = 86_400
SHAPES: dict[str, Callable[[], list[datetime]]] = {
    "none": list,
    "one, now": lambda: spread(1, 1),
    "one, a month old": lambda: spread(1, 1, age=30 * DAY),
    "steady over a month": lambda: spread(30 * DAY, 10_000),
    "a burst just now": lambda: spread(5, 10_000),
    "a burst a month ago": lambda: spread(5, 10_000, age=30 * DAY),
    "two bursts": lambda: spread(20, 5_000) + spread(20, 5_000, age=12 * DAY),
    "all at one moment": lambda: [NOW - timedelta(days=3)] * 3_000,
    "clocks ahead": lambda: spread(3_600, 500, age=-1_800),
}


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("width", [FIRST, WHOLE])
@pytest.mark.parametrize("shape", SHAPES)
def test_pages_are_complete_and_cost_a_bounded_number_of_calls(
    shape: str, width: timedelta, newest_first: bool
) -> None:
    accepted = sorted(SHAPES[shape]())
    windows = Windows(upper=None, now=NOW, floor=EPOCH, width=width)
    found: list[datetime] = []
    while not windows.exhausted:
        page, asked = read_page(accepted, windows, wanted=50, newest_first=newest_first)
        assert asked <= MOST_WINDOWS
        found += page
        # A later page is read by another call, from the cursor's time and width.
        if not windows.exhausted:
            windows = Windows(windows.upper, NOW, EPOCH, windows.width)
    assert sorted(found) == accepted


MOMENTS = st.timedeltas(timedelta(seconds=-10), timedelta(days=90)).map(lambda age: NOW - age)
CLUSTERS = st.lists(st.tuples(MOMENTS, st.integers(1, 400), st.integers(0, 10_000)), max_size=6)


@settings(deadline=None, max_examples=60)
@given(CLUSTERS, st.integers(1, 200), st.booleans())
def test_no_event_is_lost_or_repeated_however_they_cluster(
    clusters: list[tuple[datetime, int, int]], wanted: int, newest_first: bool
) -> None:
    accepted = sorted(
        start - timedelta(milliseconds=step * number)
        for start, count, step in clusters
        for number in range(count)
    )
    windows = Windows(upper=None, now=NOW, floor=EPOCH, width=WHOLE)
    found: list[datetime] = []
    while not windows.exhausted:
        found += read_page(accepted, windows, wanted, newest_first=newest_first)[0]
    assert sorted(found) == accepted


def test_a_quiet_hour_is_read_in_one_call() -> None:
    _, asked = read_page(spread(3_000, 60), Windows(None, NOW, EPOCH), wanted=50)
    assert asked == 1


@pytest.mark.parametrize("count", [1_000, 100_000])
def test_the_newest_of_many_take_one_call_where_some_say_how_dense_they_are(count: int) -> None:
    accepted = sorted(spread(DAY, count - 1_000) + spread(60, 1_000))
    windows = Windows(upper=None, now=NOW, floor=EPOCH, width=WHOLE)
    windows.aim(accepted[-MOST:], 51)
    found, asked = read_page(accepted, windows, wanted=50)
    assert (set(found) >= set(accepted[-50:]), asked) == (True, 1)
    # The next page continues with windows of the same width.
    _, asked = read_page(accepted, Windows(windows.upper, NOW, EPOCH, windows.width), wanted=50)
    assert asked <= 2


def test_nothing_below_the_floor_is_asked_for() -> None:
    floor = NOW - timedelta(hours=2)
    windows = Windows(upper=None, now=NOW, floor=floor)
    lowest = []
    while not windows.exhausted:
        lowest.append(windows.lower)
        windows.advance(0, 50)
    assert lowest == [NOW - FIRST, floor]


def test_a_range_that_is_empty_is_asked_for_never() -> None:
    assert Windows(upper=NOW, now=NOW, floor=NOW).exhausted
