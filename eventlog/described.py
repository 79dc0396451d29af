"""Distinguish the open events of a list: retried, and when again, or in progress.

Lists know of an open run only that it is open. So the rows of one page are described, a few at a
time; what isn't known in time stays as the list has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError

from delivery.result import Status
from delivery.step import Carried
from emitonce.errors import CannotDecode
from engine.decoding import decode_in_place
from engine.missing import ignore_missing
from eventlog.event_list import EventPage, list_events
from eventlog.history import read
from eventlog.listed_event import ListedEvent, status_of_run
from eventlog.query import EventQuery

DESCRIBED_AT_ONCE = 10
DESCRIBE_SECONDS = 1.5
# Of an event with many deliveries, so many are read.
MOST_DELIVERIES = 10


async def list_described(
    client: Client, query: EventQuery, *, limit: int, cursor: str | None = None
) -> EventPage:
    """List events as `list_events` does, with the exact status of open ones."""
    page = await list_events(client, query, limit=limit, cursor=cursor)
    return page.model_copy(update={"events": await described(client, page.events)})


async def described(
    client: Client, events: Iterable[ListedEvent], *, seconds: float = DESCRIBE_SECONDS
) -> tuple[ListedEvent, ...]:
    """Return the same events, with what is known within `seconds` of those that are open."""
    found = {event.event_id: event for event in events}
    room = asyncio.Semaphore(DESCRIBED_AT_ONCE)

    async def describe(event: ListedEvent) -> None:
        async with room:
            found[event.event_id] = await _described(client, event)

    tasks = [
        asyncio.create_task(describe(event))
        for event in found.values()
        if event.closed_at is None and not event.held
    ]
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    for error in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(error, Exception) and not isinstance(error, RPCError):
            raise error
    return tuple(found.values())


async def _described(client: Client, event: ListedEvent) -> ListedEvent:
    with ignore_missing():
        run = await client.get_workflow_handle(event.event_id, run_id=event.run_id).describe()
        if run.close_time is not None:  # just now
            return event.model_copy(
                update={"status": status_of_run(run), "closed_at": run.close_time}
            )
        return event.model_copy(update=await _waits(client, run))
    return event


async def _waits(client: Client, run: WorkflowExecutionDescription) -> dict[str, object]:
    """Say whether a call is retried, and when its next attempt is due."""
    pending = run.raw_description.pending_activities[:MOST_DELIVERIES]
    try:
        await decode_in_place(client, run.id, *(info.heartbeat_details for info in pending))
    except CannotDecode:
        return {}
    tried = [
        carried.attempts
        for info in pending
        if (carried := read(Carried, info.heartbeat_details)) and carried.attempts.count
    ]
    if not tried:
        return {}
    due = [last.next_attempt_at for attempts in tried if (last := attempts.last)]
    coming = [at for at in due if at is not None and at > datetime.now(UTC)]
    return {"status": Status.RETRYING, "next_attempt_at": min(coming, default=None)}
