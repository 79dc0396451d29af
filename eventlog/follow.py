"""Follow events as they are accepted and end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from temporalio.client import Client

from eventlog.event_list import LARGEST_PAGE, list_events
from eventlog.latest_runs import latest_runs
from eventlog.listed_event import ListedEvent
from eventlog.query import EventQuery

POLL_SECONDS = 1.0
# Lists lag behind, and events that other SDKs start are listed after their first workflow task.
LISTED_WITHIN = timedelta(minutes=1)


async def follow_events(
    client: Client, query: EventQuery, since: datetime
) -> AsyncIterator[ListedEvent]:
    """Yield each event accepted since then, again whenever its status has changed, forever.

    `query` must not narrow by status or time.
    """
    seen: dict[str, ListedEvent] = {}
    floor = since
    while True:
        started = datetime.now(UTC)
        found = {one.event_id: one for one in await _all(client, query, floor)}
        waited_for = [id for id, one in seen.items() if not one.status.ended and id not in found]
        for id, run in (await latest_runs(client, waited_for)).items():
            found[id] = await ListedEvent.of(run)
        for one in sorted(found.values(), key=lambda one: (one.accepted_at, one.event_id)):
            before = seen.get(one.event_id)
            seen[one.event_id] = one
            if before is None or (before.status, before.held) != (one.status, one.held):
                yield one
        floor = max(since, started - LISTED_WITHIN)
        seen = {
            id: one for id, one in seen.items() if not one.status.ended or one.accepted_at >= floor
        }
        await asyncio.sleep(POLL_SECONDS)


async def _all(client: Client, query: EventQuery, floor: datetime) -> list[ListedEvent]:
    events: list[ListedEvent] = []
    cursor = None
    while True:
        page = await list_events(
            client, replace(query, accepted_from=floor), limit=LARGEST_PAGE, cursor=cursor
        )
        events += page.events
        cursor = page.next_cursor
        if cursor is None:
            return events
