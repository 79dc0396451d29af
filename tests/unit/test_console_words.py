"""Times, lengths, charts and JSON as the console tells them; nothing of it is markup."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.attempt import Attempt
from delivery.outcome import OutcomeCode
from delivery.result import Status
from eventlog.counts import Bucket, EventCounts
from starter.console import words
from starter.console.json_view import MORE, MOST_CHARACTERS, MOST_LINES, JsonView
from starter.console.latency import latency
from starter.console.rendering import read_templates

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=10)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (3, "3 ms"),
        (999, "999 ms"),
        (2_140, "2.1 s"),
        (timedelta(minutes=4, seconds=10), "4 min 10 s"),
        (timedelta(hours=3), "3 h"),
        (timedelta(days=3), "3 days"),
        (None, "–"),
    ],
)
def test_lengths_of_time(value, told: str):
    assert words.span(value) == told


def test_times_before_and_after():
    assert words.ago(NOW - timedelta(seconds=90), NOW) == "2 min ago"
    assert words.ago(NOW + timedelta(seconds=12), NOW) == "in 12 s"
    assert words.ago(NOW, NOW) == "now"
    assert words.moment(NOW, NOW) == "today 18:00:00"
    assert words.moment(NOW - timedelta(hours=18, seconds=1), NOW) == "yesterday 23:59:59"
    assert words.moment(NOW - timedelta(days=2), NOW) == "21 Nov 18:00:00"
    assert words.moment(NOW + timedelta(days=1), NOW) == "24 Nov 18:00:00"
    assert words.moment(NOW.replace(year=2025), NOW) == "23 Nov 2025 18:00:00"


def test_every_code_has_a_word():
    assert set(words.STATUS) == set(Status)
    assert set(words.OUTCOME) == set(OutcomeCode)


@pytest.mark.parametrize(
    ("number", "noun", "told"),
    [
        (1, "delivery", "1 delivery"),
        (2, "delivery", "2 deliveries"),
        (1_204, "event", "1,204 events"),
    ],
)
def test_counts(number: int, noun: str, told: str):
    assert words.count(number, noun) == told


@given(JSON)
def test_json_is_laid_out_whole_and_escaped(value):
    shown = JsonView()(value)
    assert not re.search(r"<(?!/?span\b)", shown)
    assert json.loads(unescape(re.sub(r"<[^>]+>", "", shown))) == value


@pytest.mark.parametrize(
    "value", [list(range(100_000)), {"a": "x" * 1_000_000}, ["x" * 900] * 5_000, [[[]] * 9] * 9_000]
)
def test_a_page_shows_a_bounded_part_of_long_json_and_says_so(value):
    json_view = JsonView()
    shown = "".join(json_view(one) for one in [value] * 20)
    assert len(shown) < MOST_CHARACTERS + 20 * (len(MORE) + 100)
    assert shown.count("\n") <= MOST_LINES
    assert shown.endswith(MORE)


def test_charts_hold_what_they_are_given():
    buckets = [
        Bucket(
            NOW + timedelta(hours=n),
            NOW + timedelta(hours=n + 1),
            EventCounts({Status.FAILED: n}),
        )
        for n in range(4)
    ]
    found = latency([timedelta(milliseconds=ms) for ms in (50, 200, 200, 90_000)])
    assert (found.sample, found.median) == (4, timedelta(milliseconds=200))
    assert [number for _, number in found.classes] == [1, 2, 0, 0, 0, 1]
    module = read_templates({}).get_template("charts.html").make_module()
    chart = module.over_time(buckets)  # type: ignore[attr-defined]
    assert chart.count("<rect") == 3
    assert "6 events over time" in chart
    bars = module.latency(found.classes)  # type: ignore[attr-defined]
    assert bars.count("<rect") == 3
    assert "style=" not in chart + bars


@pytest.mark.parametrize(
    ("code", "made", "told"),
    [
        (OutcomeCode.INTERNAL_ERROR, None, "Unknown"),
        (OutcomeCode.INTERNAL_ERROR, False, "Not sent"),
        (OutcomeCode.INTERNAL_ERROR, True, "Internal error"),
        (OutcomeCode.NETWORK_ERROR, False, "No connection"),
    ],
)
def test_an_internal_error_says_what_is_known_of_its_request(code, made, told):
    attempt = Attempt(
        number=1,
        call="track",
        started_at=NOW,
        duration_ms=0,
        outcome_code=code,
        request_made=made,
        message="?",
    )
    assert words.attempt(attempt) == told
