"""Events over time are counted the same, whether they are few or many."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from delivery.result import Status
from eventlog import counts as event_counts
from eventlog.counts import count_over_time
from eventlog.query import EventQuery
from tests.integration.test_event_list import Runs

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("listed", [500, 0])
async def test_each_bucket_holds_what_was_accepted_in_it(
    temporal, monkeypatch: pytest.MonkeyPatch, listed: int
):
    monkeypatch.setattr(event_counts, "LISTED", listed)
    runs = Runs(temporal)
    for hours in (0.5, 1.5, 1.6, 3, 3.5, 9):
        await runs.start(accepted_at=NOW - hours * HOUR)
    ended = await runs.start(accepted_at=NOW - 1.7 * HOUR)
    await runs.end(ended)
    await runs.listed(7)
    query = replace(runs.query, accepted_to=NOW)
    counted = await count_over_time(temporal, query, buckets=4, width=HOUR)
    assert [bucket.counts.total for bucket in counted] == [1, 1, 3, 1]
    assert counted[0].start == NOW - 4 * HOUR
    assert counted[-1].end == NOW
    assert counted[2].counts.by_status[Status.CANCELED] == 1
    assert counted[2].counts.by_status[Status.PROCESSING] == 2


async def test_without_an_end_there_are_no_buckets(temporal):
    query = EventQuery(("00000000-0000-4000-8000-000000000000",))
    with pytest.raises(ValueError, match="accepted_to"):
        await count_over_time(temporal, query, buckets=1, width=HOUR)
