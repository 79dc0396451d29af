"""A person: everything that was sent about them, found by one of their identifiers.

The address of the page has that identifier's hash, since addresses are logged and kept.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.responses import Response

from catalog.scopes import PAYLOAD
from delivery.people import PEOPLE
from emitonce.ids import person_hash
from eventlog.event_list import list_events
from eventlog.fetch import EventNotFound, read_event_log
from eventlog.log import EventLog
from eventlog.query import EventQuery
from starter.api.routing import needs
from starter.console.route import InWorkspace, console_router, see_other
from starter.console.visit import Visit

router = console_router()

ON_A_PAGE = 20
READ_AT_ONCE = 5


@router.post("/w/{workspace_id}/people")
@needs(PAYLOAD)
async def find_person(visit: InWorkspace) -> Response:
    asked = visit.form.get("person", "").strip()
    there = f"people/{hash_of(visit, asked)}" if asked else "events"
    return see_other(f"/w/{visit.workspace.id}/{there}")


@router.get("/w/{workspace_id}/people/{person}")
@needs(PAYLOAD)
async def show_person(visit: InWorkspace, person: str) -> Response:
    query = EventQuery((visit.workspace.id,), people=(person,), include_tests=True)
    found = await list_events(
        visit.parts.client, query, limit=ON_A_PAGE, cursor=visit.query.get("cursor")
    )
    logs = await _read(visit, [event.event_id for event in found.events])
    seen = dict.fromkeys(identifier for log in logs for identifier in log.people)
    hashed = [(field, text, hash_of(visit, text)) for field, text in seen]
    return await visit.page(
        "people/one.html",
        logs=logs,
        own=[one for one in hashed if one[2] == person],
        others=[one for one in hashed if one[2] != person],
        complete_from=await visit.catalog.workers.in_use_since(PEOPLE),
        first_page="cursor" not in visit.query,
        next_cursor=found.next_cursor,
    )


def hash_of(visit: Visit, identifier: str) -> str:
    return person_hash(visit.parts.instance_secret, visit.workspace.id, identifier)


async def _read(visit: Visit, event_ids: list[str]) -> list[EventLog]:
    """Read several logs, a few at a time; without those whose retention has just ended."""
    room = asyncio.Semaphore(READ_AT_ONCE)

    async def read(event_id: str) -> EventLog | None:
        async with room:
            with suppress(EventNotFound):
                return await read_event_log(visit.parts.client, event_id)
        return None

    return [log for log in await asyncio.gather(*map(read, event_ids)) if log is not None]
