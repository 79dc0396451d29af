"""What a tool says of a page of events."""

from __future__ import annotations

import json

import pytest

from starter.mcp.words import page_of_events


@pytest.mark.parametrize(
    ("cursor", "said"),
    [(None, "No events match. "), ("further", "None yet: continue at `more`. ")],
)
def test_empty_page_says_whether_others_follow(cursor: str | None, said: str) -> None:
    page = json.loads(page_of_events({"records": [], "next_cursor": cursor}))
    assert page["more"] == cursor
    assert page["note"].startswith(said)
