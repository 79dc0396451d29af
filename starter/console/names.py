"""What a workspace speaks of: event types and resources, its rules, the events seen.

While Temporal is unavailable, what the catalog knows is all there is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

from catalog import Catalog
from catalog.connections import Connection
from catalog.paging import read_all
from catalog.rules import Rule
from eventlog.fetch import EventNotFound, read_payload
from eventlog.listing import list_events
from eventlog.query import EventQuery
from starter.api.dependencies import Dependencies
from starter.api.errors import temporal_is_unavailable

MOST_LISTED = 2_000
SEEN_EVENTS = 100
LARGEST_IN_A_FORM = 16 * 1024


# A page shows what it can without Temporal, after this time.
ANSWER_SECONDS = 2.0

T = TypeVar("T")


@dataclass(frozen=True)
class Names:
    """Sorted; those of rules, and those of events that came in of late."""

    events: tuple[str, ...]
    resources: tuple[str, ...]


async def known_names(parts: Dependencies, organisation: str, workspace: str) -> Names:
    catalog = parts.catalog
    events = {entry.key for entry in await catalog.event_types.list(organisation, workspace)}
    resources = {entry.key for entry in await catalog.resources.list(organisation, workspace)}
    seen = await if_answered(list_events(parts.client, EventQuery((workspace,)), limit=SEEN_EVENTS))
    if seen is not None:
        events.update(event.event for event in seen.events if event.event)
        resources.update(event.resource for event in seen.events if event.resource)
    return Names(tuple(sorted(events)), tuple(sorted({*resources, "global"})))


async def if_answered(asked: Awaitable[T]) -> T | None:
    """What Temporal answers; None when it is unavailable."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS) as limit:
            return await asked
    except Exception as err:
        if limit.expired() or temporal_is_unavailable(err):
            return None
        raise


async def last_payload(parts: Dependencies, workspace: str, event: str) -> dict[str, Any] | None:
    """Of the newest event of that type that was emitted for real; None when there is none, or one
    too large for a form, which is sent to and fro with every key that is pressed."""
    if not event:
        return None
    found = await list_events(parts.client, EventQuery((workspace,), event=event), limit=1)
    for listed in found.events:
        try:
            payload = await read_payload(parts.client, listed.event_id)
            return payload if payload is None or _fits_a_form(payload) else None
        except EventNotFound:  # its retention has ended just now
            return None
    return None


def _fits_a_form(payload: dict[str, Any]) -> bool:
    return len(json.dumps(payload, indent=2)) <= LARGEST_IN_A_FORM


async def all_rules(catalog: Catalog, organisation: str, workspace: str) -> list[Rule]:
    """Newest first; up to `MOST_LISTED`."""
    return await read_all(catalog.rules.list, organisation, workspace=workspace, most=MOST_LISTED)


async def all_connections(catalog: Catalog, organisation: str, workspace: str) -> list[Connection]:
    """By name; up to `MOST_LISTED`."""
    found = await read_all(
        catalog.connections.list, organisation, workspace=workspace, most=MOST_LISTED
    )
    return sorted(found, key=lambda one: (one.name.casefold(), one.id))
