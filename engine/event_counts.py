"""Events over time: by when they were accepted, a bucket of time at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from temporalio.client import Client

from delivery.result import Status
from engine.event_list import count_events
from engine.event_query import EventQuery, accepted_within
from engine.listed_event import ListedEvent

COUNTED_AT_ONCE = 6

# Up to so many runs, reading them all asks the server for less than counting bucket by bucket.
LISTED = 500


@dataclass(frozen=True)
class Bucket:
    """Runs accepted in [`start`, `end`), by status; open ones count as `processing`."""

    start: datetime
    end: datetime
    counts: dict[Status, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


async def count_over_time(
    client: Client, query: EventQuery, *, buckets: int, width: timedelta
) -> list[Bucket]:
    """`buckets` of `width` each, oldest first, that end with the query's `accepted_to`.

    Raises:
        ValueError: the query has no `accepted_to`, or names that can't be counted.
    """
    if query.accepted_to is None:
        raise ValueError("accepted_to: must be given, buckets are counted back from it")
    first = query.accepted_to - buckets * width
    starts = [first + place * width for place in range(buckets)]
    whole = replace(query, accepted_from=first)
    if sum((await count_events(client, whole)).values()) <= LISTED:
        return await _listed(client, whole, starts, width)
    room = asyncio.Semaphore(COUNTED_AT_ONCE)

    async def counted(start: datetime) -> Bucket:
        narrowed = replace(query, accepted_from=start, accepted_to=start + width)
        async with room:
            return Bucket(start, start + width, await count_events(client, narrowed))

    return list(await asyncio.gather(*map(counted, starts)))


async def _listed(
    client: Client, query: EventQuery, starts: list[datetime], width: timedelta
) -> list[Bucket]:
    counts: list[dict[Status, int]] = [{} for _ in starts]
    within = query.conditions() + accepted_within(query.accepted_from, query.accepted_to)
    async for run in client.list_workflows(within, page_size=LISTED):
        event = await ListedEvent.of(run)
        place = (event.accepted_at - starts[0]) // width
        if 0 <= place < len(starts):
            status = Status.PROCESSING if event.held else event.status
            counts[place][status] = counts[place].get(status, 0) + 1
    return [
        Bucket(start, start + width, found) for start, found in zip(starts, counts, strict=True)
    ]
