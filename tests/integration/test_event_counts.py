"""Events over time: each is counted in its own bar, and kept counts are counted again in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client

from delivery.result import Status
from eventlog.counts import KEPT_SECONDS, Bucket, KeptCounts, count_over_time, total
from eventlog.event_list import list_events
from tests.integration.stack import eventually
from tests.integration.test_event_list import Runs

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
HOUR = timedelta(hours=1)
EDGES = [NOW - hours * HOUR for hours in (4, 3, 2, 1, 0)]


async def test_each_bucket_holds_what_was_accepted_in_it(temporal: Client) -> None:
    runs = Runs(temporal)
    for hours in (0.5, 1.5, 1.6, 3, 3.5, 9):
        await runs.start(accepted_at=NOW - hours * HOUR)
    ended = await runs.start(accepted_at=NOW - 1.7 * HOUR)
    await runs.end(ended)
    await runs.listed(7)
    counted = await count_over_time(temporal, runs.query, EDGES, KeptCounts())
    assert [bucket.counts.total for bucket in counted] == [1, 1, 3, 1]
    assert (counted[0].start, counted[-1].end) == (NOW - 4 * HOUR, NOW)
    assert counted[2].counts.by_status[Status.CANCELED] == 1
    assert counted[2].counts.by_status[Status.PROCESSING] == 2
    assert total(counted).by_status == {
        Status.PROCESSING: 5,
        Status.COMPLETED: 0,
        Status.FAILED: 0,
        Status.CANCELED: 1,
    }


class Kept:
    """Counts of one workspace's last hours, by a clock that the test sets."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self.seconds = 0.0
        self.counts = KeptCounts(lambda: self.seconds)

    async def bars(self, edges: list[datetime] = EDGES) -> list[Bucket]:
        return await count_over_time(self.runs.client, self.runs.query, edges, self.counts)

    async def end(self, event_id: str) -> None:
        await self.runs.end(event_id)
        ended = replace(self.runs.query, status=Status.CANCELED)

        async def known() -> bool:
            listed = await list_events(self.runs.client, ended, limit=10)
            return event_id in [event.event_id for event in listed.events]

        await eventually(known)

    async def totals(self) -> list[int]:
        return [bucket.counts.total for bucket in await self.bars()]


@pytest.fixture
def kept(temporal: Client) -> Kept:
    return Kept(Runs(temporal))


async def test_a_past_bar_is_counted_again_after_a_minute(kept: Kept) -> None:
    first = await kept.runs.start(accepted_at=NOW - 0.5 * HOUR)
    await kept.end(first)
    assert await kept.totals() == [0, 0, 0, 1]
    # Events that come late or are redelivered belong to past bars.
    await kept.runs.start(accepted_at=NOW - 1.5 * HOUR)
    await kept.runs.start(first, NOW - 0.5 * HOUR)
    await kept.runs.listed(3)
    kept.seconds = KEPT_SECONDS - 1
    assert await kept.totals() == [0, 0, 0, 1]
    kept.seconds = KEPT_SECONDS
    *_, earlier, last = await kept.bars()
    assert (earlier.counts.total, last.counts.total) == (1, 1)
    assert last.counts.by_status[Status.PROCESSING] == 1
    assert last.counts.superseded == 1


async def test_a_bar_with_open_events_is_never_kept(kept: Kept) -> None:
    event = await kept.runs.start(accepted_at=NOW - 0.5 * HOUR)
    await kept.runs.listed(1)
    assert (await kept.bars())[-1].counts.by_status[Status.PROCESSING] == 1
    await kept.end(event)
    assert (await kept.bars())[-1].counts.by_status[Status.CANCELED] == 1


async def test_the_bar_that_goes_on_is_never_kept(kept: Kept) -> None:
    now = datetime.now(UTC)
    edges = [now - HOUR, now]
    assert [bar.counts.total for bar in await kept.bars(edges)] == [0]
    await kept.end(await kept.runs.start(accepted_at=now - timedelta(seconds=1)))
    assert [bar.counts.total for bar in await kept.bars(edges)] == [1]


async def test_what_is_kept_of_one_filter_is_not_shown_for_another(kept: Kept) -> None:
    mine, others = kept.runs, Runs(kept.runs.client)
    await others.end(await others.start(accepted_at=NOW - 0.5 * HOUR))
    await others.listed(1)
    assert await kept.totals() == [0, 0, 0, 0]
    bars = await count_over_time(mine.client, others.query, EDGES, kept.counts)
    assert [bar.counts.total for bar in bars] == [0, 0, 0, 1]
