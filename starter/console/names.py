"""The names that a workspace uses: of event types, resources, rules and connections.

While Temporal is unavailable, only the catalog's are known.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

from catalog.connections import Connection
from catalog.paging import read_all
from catalog.rules import Rule
from catalog.scopes import PAYLOAD
from delivery.search_attributes import EVENT, RESOURCE
from eventlog.event_list import list_events
from eventlog.fetch import EventNotFound, read_payload
from eventlog.query import EventQuery
from eventlog.recent import recent_runs
from starter.api.embedding import only
from starter.api.errors import temporal_is_unavailable
from starter.console.visit import Visit

MOST_LISTED = 2_000
SEEN_EVENTS = 100
LARGEST_IN_A_FORM = 16 * 1024


# A page shows what it can without Temporal, after this time.
ANSWER_SECONDS = 2.0

T = TypeVar("T")


@dataclass(frozen=True)
class Names:
    """Names of rules and of recent events, sorted."""

    events: tuple[str, ...]
    resources: tuple[str, ...]


async def known_names(visit: Visit) -> Names:
    catalog, organization, workspace = visit.catalog, visit.organization, visit.workspace.id
    if own := only(visit.embed):
        events, resources = {rule.event for rule in await all_rules(visit)}, {own["resource"]}
    else:
        events = {entry.key for entry in await catalog.event_types.list(organization, workspace)}
        resources = {entry.key for entry in await catalog.resources.list(organization, workspace)}
        resources.add("global")
    query = visit.within(EventQuery((workspace,)))
    seen = await if_answered(recent_runs(visit.parts.client, query, SEEN_EVENTS))
    for run in seen.runs if seen is not None else ():
        for key, found in ((EVENT, events), (RESOURCE, resources)):
            if name := run.get(key):
                found.add(name)
    return Names(tuple(sorted(events)), tuple(sorted(resources)))


async def if_answered(asked: Awaitable[T]) -> T | None:
    """Return what Temporal answers; None if it is unavailable."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS) as limit:
            return await asked
    except Exception as err:
        if limit.expired() or temporal_is_unavailable(err):
            return None
        raise


async def last_payload(visit: Visit, event: str) -> dict[str, Any] | None:
    """Return the payload of the newest real event of that type; None if there is none, or if it is
    too large for a form that is sent with every change."""
    if not event or PAYLOAD not in visit.may:
        return None
    client = visit.parts.client
    query = visit.within(EventQuery((visit.workspace.id,), event=event))
    found = await list_events(client, query, limit=1)
    if not found.events:
        return None
    with contextlib.suppress(EventNotFound):  # its retention has ended just now
        payload = await read_payload(client, found.events[0].event_id)
        if payload is not None and len(written(payload)) <= LARGEST_IN_A_FORM:
            return payload
    return None


def written(payload: dict[str, Any]) -> str:
    """Write a payload as the payload box shows it."""
    return json.dumps(payload, indent=2, ensure_ascii=False)


async def all_rules(visit: Visit) -> list[Rule]:
    """Return up to `MOST_LISTED` rules, newest first."""
    return await read_all(
        visit.catalog.rules.list,
        visit.organization,
        workspace=visit.workspace.id,
        most=MOST_LISTED,
        **only(visit.embed),
    )


async def all_connections(visit: Visit) -> list[Connection]:
    """Return up to `MOST_LISTED` connections, by name."""
    found = await read_all(
        visit.catalog.connections.list,
        visit.organization,
        workspace=visit.workspace.id,
        most=MOST_LISTED,
    )
    return sorted(found, key=lambda one: (one.name.casefold(), one.id))
