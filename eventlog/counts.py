"""Count events by status, and over the time when they were accepted.

Visibility counts runs, but a redelivered event has several. Only failed or canceled runs can have
been superseded. Up to a limit, each of them is checked: is it still its event's latest run? Beyond
the limit, the number of runs that redeliveries started, and marked, is subtracted instead. Runs of
older releases have no mark, so that count is an estimate.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from temporalio.client import Client, WorkflowExecution

from delivery import search_attributes as names
from delivery.result import Status
from engine.search_attributes import count_marked
from eventlog.latest_runs import latest_runs
from eventlog.listed_event import ListedEvent, status_of
from eventlog.query import EventQuery, accepted_within

COUNTED_AT_ONCE = 6

# Reading up to this many runs costs the server less than counting bucket by bucket.
LISTED = 500
# Up to this many failed and canceled runs are checked one by one: the server's largest page.
LOOKED_AT = 1_000

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


async def count_events(client: Client, query: EventQuery) -> EventCounts:
    """Count events by status, each once, by its latest run.

    Raises:
        ValueError: a name has quotes or backslashes, by which the server can't count.
    """
    runs = await _count_runs(client, query)
    gone = await _superseded(client, query, runs)
    return await _without(client, query, runs, gone)


async def count_over_time(
    client: Client, query: EventQuery, *, buckets: int, width: timedelta
) -> list[Bucket]:
    """Count in `buckets` of `width` each, oldest first, the last ending at `accepted_to`.

    The query must not name a status.

    Raises:
        ValueError: the query has no `accepted_to`, or names that can't be counted.
    """
    if query.accepted_to is None:
        raise ValueError("accepted_to: is missing; buckets are counted back from it")
    first = query.accepted_to - buckets * width
    starts = [first + place * width for place in range(buckets)]
    whole = replace(query, accepted_from=first)
    runs = await _count_runs(client, whole)
    if runs.total() <= LISTED:
        return await _listed(client, whole, starts, width)
    gone = await _superseded(client, whole, runs)
    room = asyncio.Semaphore(COUNTED_AT_ONCE)

    async def counted(start: datetime) -> Bucket:
        end = start + width
        narrowed = replace(query, accepted_from=start, accepted_to=end)
        here = None if gone is None else [run for run in gone if start <= _accepted_at(run) < end]
        async with room:
            counts = await _count_runs(client, narrowed)
            return Bucket(start, end, await _without(client, narrowed, counts, here))

    return list(await asyncio.gather(*map(counted, starts)))


async def _listed(
    client: Client, query: EventQuery, starts: list[datetime], width: timedelta
) -> list[Bucket]:
    counts: list[Counter[Status]] = [Counter() for _ in starts]
    within = query.conditions() + accepted_within(query.accepted_from, query.accepted_to)
    latest: dict[str, WorkflowExecution] = {}
    async for run in client.list_workflows(within, page_size=LISTED):
        if run.id not in latest or run.start_time > latest[run.id].start_time:
            latest[run.id] = run
    for run in latest.values():
        event = await ListedEvent.of(run)
        place = (event.accepted_at - starts[0]) // width
        if 0 <= place < len(starts):
            counts[place][Status.PROCESSING if event.held else event.status] += 1
    return [
        Bucket(start, start + width, EventCounts(dict(found)))
        for start, found in zip(starts, counts, strict=True)
    ]


async def _count_runs(client: Client, query: EventQuery) -> Counter[Status]:
    """Count runs by status. Raises `ValueError` as `count_events` does."""
    if not query.is_plain:
        raise ValueError("event, resource: names with quotes or backslashes can't be counted")
    asked = _asked(query)
    counts = Counter(dict.fromkeys(COUNTED, 0))
    for group in (await client.count_workflows(f"{asked} GROUP BY ExecutionStatus")).groups:
        counts[status_of(str(group.group_values[0]))] += group.count
    if counts[Status.COMPLETED]:
        canceled = f"{asked} AND ExecutionStatus = 'Completed' AND {names.STATE.name} = "
        found = (await client.count_workflows(f"{canceled}'{names.CANCELED}'")).count
        counts[Status.COMPLETED] -= found
        counts[Status.CANCELED] += found
    return counts


async def _superseded(
    client: Client, query: EventQuery, runs: Counter[Status]
) -> list[WorkflowExecution] | None:
    """Find the runs whose events were redelivered since; None if there are too many to check."""
    if not 0 < (number := runs[Status.FAILED] + runs[Status.CANCELED]) <= LOOKED_AT:
        return [] if not number else None
    ended = ", ".join(f"'{status}'" for status in _MAY_BE_SUPERSEDED)
    listing = client.list_workflows(
        f"{_asked(query)} AND ExecutionStatus IN ({ended})", page_size=LOOKED_AT
    )
    found = [run async for run in listing]
    latest = await latest_runs(client, [run.id for run in found])
    return [run for run in found if latest.get(run.id, run).run_id != run.run_id]


async def _without(
    client: Client,
    query: EventQuery,
    runs: Counter[Status],
    superseded: list[WorkflowExecution] | None,
) -> EventCounts:
    if superseded is not None:
        gone = Counter([(await ListedEvent.of(run)).status for run in superseded])
    else:
        gone = Counter({status: await _marked(client, query, status) for status in _MARKS})
    return EventCounts(
        {status: max(number - gone[status], 0) for status, number in runs.items()},
        superseded=gone.total(),
        exact=superseded is not None,
    )


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
