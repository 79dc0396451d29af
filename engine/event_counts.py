"""Events over time: counted by Temporal's visibility, a bucket of time at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from temporalio.client import Client

from delivery.result import Status
from engine.event_list import count_events
from engine.event_query import EventQuery

COUNTED_AT_ONCE = 6


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
    room = asyncio.Semaphore(COUNTED_AT_ONCE)

    async def counted(start: datetime) -> Bucket:
        end = start + width
        async with room:
            narrowed = replace(query, accepted_from=start, accepted_to=end)
            return Bucket(start, end, await count_events(client, narrowed))

    first = query.accepted_to - buckets * width
    return list(await asyncio.gather(*(counted(first + i * width) for i in range(buckets))))
