"""Count events by status, and over the time when they were accepted.

Visibility counts runs, but a redelivered event has several. Only failed or canceled runs can have
been superseded. Up to a limit, each of them is checked: is it still its event's latest run? Beyond
the limit, the number of runs that redeliveries started, and marked, is subtracted instead. Runs of
older releases have no mark, so that count is an estimate.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby, pairwise
from typing import TypeVar

from temporalio.client import Client, WorkflowExecution

from delivery import search_attributes as names
from delivery.result import Status
from engine.search_attributes import count_marked
from eventlog.latest_runs import latest_runs
from eventlog.listed_event import status_of, status_of_run
from eventlog.query import EventQuery, accepted_within

# How many parts of a time range are counted at once. All at once would keep others waiting.
COUNTED_AT_ONCE = 6

# Up to this many failed and canceled runs are checked one by one: the server's largest page.
LOOKED_AT = 1_000

# How long counts are kept, and how long ago their time must have ended.
KEPT_SECONDS = 60.0
MOST_KEPT = 5_000

T = TypeVar("T")

COUNTED = (Status.PROCESSING, Status.COMPLETED, Status.FAILED, Status.CANCELED)
_MAY_BE_SUPERSEDED = ("Failed", "TimedOut", "Canceled", "Terminated")
_MARKS = {Status.FAILED: names.AFTER_FAILED, Status.CANCELED: names.AFTER_CANCELED}


@dataclass(frozen=True)
class EventCounts:
    """Events by status; all open ones count as `processing`.

    Unless `exact`, the counts of `failed` and `canceled` are estimates. `superseded` is the number
    of runs left out because their events were redelivered since.
    """

    by_status: dict[Status, int]
    superseded: int = 0
    exact: bool = True

    @property
    def total(self) -> int:
        return sum(self.by_status.values())

    def is_exact(self, status: Status) -> bool:
        return self.exact or status not in _MARKS


@dataclass(frozen=True)
class Bucket:
    """Events accepted in [`start`, `end`)."""

    start: datetime
    end: datetime
    counts: EventCounts


class KeptCounts:
    """Counts of times past, each kept for a minute.

    Those of the last minute aren't kept, since lists lag behind, nor are those with open events. So
    a kept count can be wrong only about events that are redelivered, erased or listed later, and
    only for a minute.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[EventQuery, tuple[float, EventCounts]] = {}

    def get(self, query: EventQuery) -> EventCounts | None:
        until, counts = self._kept.get(query, (0.0, None))
        return counts if self._clock() < until else None

    def add(self, counted: dict[EventQuery, EventCounts]) -> None:
        now = self._clock()
        self._kept = {query: kept for query, kept in self._kept.items() if now < kept[0]}
        settled = datetime.now(UTC) - timedelta(seconds=KEPT_SECONDS)
        for query, counts in counted.items():
            ended = query.accepted_to is not None and query.accepted_to <= settled
            if ended and not counts.by_status[Status.PROCESSING] and len(self._kept) < MOST_KEPT:
                self._kept[query] = now + KEPT_SECONDS, counts


def total(buckets: Iterable[Bucket]) -> EventCounts:
    """Add up what `count_over_time` has counted."""
    by_status = Counter(dict.fromkeys(COUNTED, 0))
    superseded, exact = 0, True
    for bucket in buckets:
        by_status.update(bucket.counts.by_status)
        superseded += bucket.counts.superseded
        exact = exact and bucket.counts.exact
    return EventCounts(dict(by_status), superseded, exact)


async def count_events(client: Client, query: EventQuery) -> EventCounts:
    """Count events by status, each once, by its latest run.

    Raises:
        ValueError: a name has quotes or backslashes, by which the server can't count.
    """
    [counts] = await _count(client, [query])
    return counts


async def count_over_time(
    client: Client, query: EventQuery, edges: Sequence[datetime], kept: KeptCounts
) -> list[Bucket]:
    """Count from each of the `edges` to the next, which is later.

    The query must not name a status.

    Raises:
        ValueError: the query has names that can't be counted.
    """
    parts = [replace(query, accepted_from=start, accepted_to=end) for start, end in pairwise(edges)]
    counts = {part: found for part in parts if (found := kept.get(part)) is not None}
    for known, neighbors in groupby(parts, key=counts.__contains__):
        missing = [] if known else list(neighbors)
        for first in range(0, len(missing), COUNTED_AT_ONCE):
            some = missing[first : first + COUNTED_AT_ONCE]
            counted = dict(zip(some, await _count(client, some), strict=True))
            kept.add(counted)
            counts |= counted
    return [
        Bucket(start, end, counts[part])
        for (start, end), part in zip(pairwise(edges), parts, strict=True)
    ]


async def _count(client: Client, parts: Sequence[EventQuery]) -> list[EventCounts]:
    """Count each part of a query. The parts follow each other without a gap."""
    whole = replace(parts[0], accepted_to=parts[-1].accepted_to)
    if not whole.is_plain:
        raise ValueError("event, resource: names with quotes or backslashes can't be counted")

    async def each(count: Callable[[EventQuery], Awaitable[T]]) -> list[T]:
        return list(await asyncio.gather(*map(count, parts)))

    runs = await each(partial(_count_runs, client))
    if sum(one[Status.COMPLETED] for one in runs) and await _count_canceled(client, whole):
        for one, canceled in zip(runs, await each(partial(_count_canceled, client)), strict=True):
            one[Status.COMPLETED] -= canceled
            one[Status.CANCELED] += canceled
    ended = sum(one[Status.FAILED] + one[Status.CANCELED] for one in runs)
    if ended > LOOKED_AT:
        gone = await each(partial(_count_marked, client))
    else:
        superseded = await _superseded(client, whole) if ended else []
        gone = [
            Counter([status_of_run(run) for run in superseded if part.covers(_accepted_at(run))])
            for part in parts
        ]
    return [
        EventCounts(
            {status: max(number - less[status], 0) for status, number in found.items()},
            superseded=less.total(),
            exact=ended <= LOOKED_AT,
        )
        for found, less in zip(runs, gone, strict=True)
    ]


async def _count_runs(client: Client, query: EventQuery) -> Counter[Status]:
    """Count runs by status, canceled events whose runs completed among the completed ones."""
    counts = Counter(dict.fromkeys(COUNTED, 0))
    found = await client.count_workflows(f"{_asked(query)} GROUP BY ExecutionStatus")
    for group in found.groups:
        counts[status_of(str(group.group_values[0]))] += group.count
    return counts


async def _count_canceled(client: Client, query: EventQuery) -> int:
    """Count the completed runs of canceled events."""
    canceled = f"ExecutionStatus = 'Completed' AND {names.STATE.name} = '{names.CANCELED}'"
    return (await client.count_workflows(f"{_asked(query)} AND {canceled}")).count


async def _superseded(client: Client, query: EventQuery) -> list[WorkflowExecution]:
    """Find the failed and canceled runs whose events were redelivered since."""
    ended = ", ".join(f"'{status}'" for status in _MAY_BE_SUPERSEDED)
    listing = client.list_workflows(
        f"{_asked(query)} AND ExecutionStatus IN ({ended})", page_size=LOOKED_AT
    )
    found = [run async for run in listing]
    latest = await latest_runs(client, [run.id for run in found])
    return [run for run in found if latest.get(run.id, run).run_id != run.run_id]


async def _count_marked(client: Client, query: EventQuery) -> Counter[Status]:
    return Counter({status: await _marked(client, query, status) for status in _MARKS})


async def _marked(client: Client, query: EventQuery, status: Status) -> int:
    """Count the runs marked as superseding one of that status.

    For the runs of one bulk redelivery that is unknown: any other redelivery may supersede them.
    """
    if query.redelivery is not None:
        return 0
    mark = f"{names.REDELIVERY.name} STARTS_WITH '{_MARKS[status]}'"
    asked = _asked(replace(query, status=None))
    return await count_marked(client, f"{asked} AND {mark}")


def _asked(query: EventQuery) -> str:
    return query.conditions() + accepted_within(query.accepted_from, query.accepted_to)


def _accepted_at(run: WorkflowExecution) -> datetime:
    return run.typed_search_attributes[names.ACCEPTED_AT]
