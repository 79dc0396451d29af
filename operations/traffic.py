"""Write to the catalog, every few seconds, how connections are doing and how many events wait.

Deliveries don't wait for it. What can't be written is kept until it can be.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from temporalio.client import Client

from catalog.errors import CatalogUnavailable
from catalog.traffic import ConnectionTraffic, Waiting, troubled
from delivery.search_attributes import CONNECTIONS, WORKSPACE
from delivery.traffic import Tallies
from eventlog.query import NOT_A_TEST, RUNS_AT_ONCE
from operations.background import repeated

WRITE_SECONDS = 3.0
COUNT_SECONDS = 10.0

# An event that is open for longer than this waits; most are delivered within a second.
WAITS_AFTER = timedelta(seconds=10)

# Up to this many waiting events are listed and counted here. Of more, each connection is counted by
# the server, up to a limit, and the oldest events are searched for a few.
MOST_LISTED = 2_000
MOST_COUNTED = 200
OLDEST_OF = 20
# No delivery is open for longer, redeliveries included.
_LONGEST_OPEN = timedelta(days=8)


@asynccontextmanager
async def kept_traffic(
    client: Client,
    traffic: ConnectionTraffic,
    tallies: Tallies,
    task_queue: str,
    *,
    write_seconds: float = WRITE_SECONDS,
    count_seconds: float = COUNT_SECONDS,
) -> AsyncIterator[None]:
    """Write in the background for as long as the context is open, and once more at its end."""

    async def write() -> None:
        await write_tallies(traffic, tallies)
        if await traffic.may_count(count_seconds):
            await count_waiting(client, traffic, task_queue)

    failing = "the connections' traffic can't be stored"
    async with repeated(write, every_seconds=write_seconds, name="traffic", failing=failing):
        yield
    with contextlib.suppress(CatalogUnavailable):
        await write_tallies(traffic, tallies)


async def write_tallies(traffic: ConnectionTraffic, tallies: Tallies) -> None:
    """Add what was tallied to the catalog. Raises `CatalogUnavailable`; then it is kept."""
    taken = tallies.take()
    if not taken:
        return
    try:
        await traffic.add(taken, time.monotonic())
    except BaseException:
        tallies.put_back(taken)
        raise


async def count_waiting(client: Client, traffic: ConnectionTraffic, task_queue: str) -> None:
    """Count what waits for each connection, and store it.

    An event of several connections is counted for those that deliver nothing, if there are any:
    lists don't say which of its deliveries have ended.
    """
    waits = waiting_query(task_queue)
    count = (await client.count_workflows(waits)).count
    known = await traffic.everywhere() if count else []
    if count <= MOST_LISTED:
        waiting = await _listed(client, waits, set(troubled(known))) if count else {}
    else:
        active = [one.connection.id for one in known if one.actions]
        waiting = await _counted(client, waits, troubled(known), active)
    await traffic.set_waiting(waiting)


def waiting_query(task_queue: str, workspaces: tuple[str, ...] | None = None) -> str:
    """Write the list filter for events that wait; without a workspace's it selects all.

    Until it is matched, an event that another SDK has started names no workspace.
    """
    limit = datetime.now(UTC) - WAITS_AFTER
    query = (
        f"WorkflowType = 'DeliverEvent' AND ExecutionStatus = 'Running' "
        f"AND TaskQueue = '{task_queue}' AND {NOT_A_TEST} AND StartTime < '{limit.isoformat()}'"
    )
    if workspaces is None:
        return query
    own = ", ".join(f"'{id}'" for id in workspaces) or "'-'"
    return f"{query} AND ({WORKSPACE.name} IN ({own}) OR {WORKSPACE.name} IS NULL)"


async def waiting_of(client: Client, query: str) -> Waiting:
    """Count the events that `query` selects, and find when the oldest of them was started."""
    count = (await client.count_workflows(query)).count
    return Waiting(count, await _oldest(client, query, count) if count else None)


async def _listed(client: Client, query: str, troubled: set[str]) -> dict[str, Waiting]:
    counts: defaultdict[str, int] = defaultdict(int)
    oldest: dict[str, datetime] = {}
    async for run in client.list_workflows(query, page_size=RUNS_AT_ONCE, limit=MOST_LISTED):
        of_run = set(run.typed_search_attributes.get(CONNECTIONS) or ())
        for id in of_run & troubled or of_run:
            counts[id] += 1
            oldest[id] = min(oldest.get(id, run.start_time), run.start_time)
    return {id: Waiting(count, oldest[id]) for id, count in counts.items()}


async def _counted(
    client: Client, query: str, troubled: list[str], active: list[str]
) -> dict[str, Waiting]:
    ids = list(dict.fromkeys([*troubled, *active]))[:MOST_COUNTED]
    none_of_these = "".join(f" AND {CONNECTIONS.name} != '{id}'" for id in troubled[:OLDEST_OF])
    queries = {
        id: f"{query} AND {CONNECTIONS.name} = '{id}'" + ("" if id in troubled else none_of_these)
        for id in ids
    }
    counts = {id: (await client.count_workflows(queries[id])).count for id in ids}
    most = sorted(counts, key=lambda id: -counts[id])
    searched = {id: await _oldest(client, queries[id], counts[id]) for id in most[:OLDEST_OF]}
    return {id: Waiting(count, searched.get(id)) for id, count in counts.items() if count}


async def _oldest(client: Client, query: str, count: int) -> datetime | None:
    """Find the earliest start among `count` runs. Lists can't be sorted, so halve the time first,
    until few enough are left to be listed.
    """
    upper = datetime.now(UTC)
    lower = upper - _LONGEST_OPEN
    before = query
    while count > RUNS_AT_ONCE and upper - lower > timedelta(seconds=1):
        middle = lower + (upper - lower) / 2
        earlier = f"{query} AND StartTime < '{middle.isoformat()}'"
        if found := (await client.count_workflows(earlier)).count:
            upper, count, before = middle, found, earlier
        else:
            lower = middle
    listing = client.list_workflows(before, page_size=RUNS_AT_ONCE, limit=RUNS_AT_ONCE)
    return min([run.start_time async for run in listing], default=None)
