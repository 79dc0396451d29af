"""A list's cursor: opaque, URL-safe, and refused when it is not one of ours."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.event_cursor import Cursor, InvalidCursor, Key

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(8999, 1, 1), timezones=st.just(UTC))
WIDTHS = st.timedeltas(timedelta(milliseconds=1), timedelta(days=500))


@given(MOMENTS, st.text(max_size=60), WIDTHS)
def test_cursor_survives_the_way_through_a_url(
    accepted_at: datetime, event_id: str, width: timedelta
) -> None:
    cursor = Cursor(Key(accepted_at, event_id), width)
    token = cursor.encode()
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    assert Cursor.decode(token) == cursor


@given(st.text())
def test_any_other_text_is_refused(token: str) -> None:
    with pytest.raises(InvalidCursor):
        Cursor.decode(token)


@pytest.mark.parametrize(
    "parts",
    [
        [],
        {},
        [1, "id"],
        ["1", "id", 1],
        [1.5, "id", 1],
        [10**40, "id", 1],
        [-1, "id", 1],
        [1, None, 1],
        [1, "id", None],
        [1, "id", 10**40],
    ],
)
def test_a_forged_cursor_is_refused(parts: object) -> None:
    token = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")
    with pytest.raises(InvalidCursor):
        Cursor.decode(token)


def test_keys_order_by_time_and_then_by_id() -> None:
    early, late = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    keys = [Key(early, "b"), Key(late, "a"), Key(early, "a"), Key(late, "")]
    assert sorted(keys, reverse=True) == [
        Key(late, "a"),
        Key(late, ""),
        Key(early, "b"),
        Key(early, "a"),
    ]
