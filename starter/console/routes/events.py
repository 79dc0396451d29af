"""Events: the live list with its counts and charts, and one event with every attempt."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends
from starlette.responses import Response

from catalog.connections import Connection
from catalog.embed_sessions import DASHBOARD, RESOURCE, WORKSPACE
from catalog.errors import NotFound
from delivery.result import Status
from delivery.search_attributes import RULES
from engine.links import run_url
from eventlog.counts import count_over_time, total
from eventlog.described import list_described
from eventlog.event_list import EventPage
from eventlog.recent import RecentRun, recent_runs
from starter.api.embedding import listed, only, require_own_filters
from starter.api.reading import OwnEvent, read_own_event
from starter.api.routing import embeddable
from starter.console.event_filter import RANGES, STATUSES, EventFilter, field_value
from starter.console.latency import latency
from starter.console.names import all_connections, all_rules, known_names
from starter.console.route import (
    InWorkspace,
    Visited,
    console_router,
)
from starter.console.routes.people import hash_of
from starter.console.visit import Visit

router = console_router()

ON_A_PAGE = 50
LATENCY_SAMPLE = 200
# Charts that take longer are left out, but still counted: the next request finds them.
CHART_SECONDS = 4.0
COUNTING_SECONDS = 30.0
# A page whose charts take longer is shown without them, and requests them afterwards.
SHOWN_AT_ONCE_SECONDS = 0.15
# Of rows that came in within this time, the page shows that they are new.
FRESH = timedelta(seconds=4)


async def event_of(visit: InWorkspace, event_id: str) -> OwnEvent:
    """Raises `ApiError` 404 when it isn't the workspace's."""
    own = await read_own_event(visit.parts, visit.caller, event_id)
    if own.log.workspace != visit.workspace.id:
        raise NotFound("event", event_id)
    return own


# The event that a page's address names.
EventHere = Annotated[OwnEvent, Depends(event_of)]


@router.get("/w/{workspace_id}/events")
@embeddable(WORKSPACE, RESOURCE)
async def show_events(visit: InWorkspace) -> Response:
    chosen, now = await _chosen(visit), datetime.now(UTC)
    page, names, connections = await asyncio.gather(
        _listed(visit, chosen, now),
        known_names(visit),
        _connections(visit),
    )
    # Afterwards, since counting may keep the engine busy.
    charts = await charts_of(visit, chosen, SHOWN_AT_ONCE_SECONDS)
    return await visit.page(
        "events/list.html",
        **_list_context(visit, chosen, page, connections, now),
        **charts,
        names=names,
        ranges={name: label for name, (_, _, label) in RANGES.items()},
        local=lambda at: field_value(at, visit.zone),
        redelivery_address=chosen.redelivery_address(now),
    )


@router.get("/w/{workspace_id}/events/rows")
@embeddable(WORKSPACE, RESOURCE)
async def show_rows(visit: InWorkspace) -> Response:
    """Return only the list, which an open page requests again and again."""
    chosen, now = await _chosen(visit), datetime.now(UTC)
    page, connections = await visit.console.shared_reads.read(
        ("rows", visit.workspace.id, _resource(visit), chosen, visit.query.get("cursor")),
        lambda: _listed_with_connections(visit, chosen, now),
    )
    return visit.part("events/rows.html", **_list_context(visit, chosen, page, connections, now))


@router.get("/w/{workspace_id}/events/charts")
@embeddable(WORKSPACE, RESOURCE, DASHBOARD)
async def show_charts(visit: InWorkspace) -> Response:
    chosen = await _chosen(visit)
    return visit.part("events/charts.html", chosen=chosen, **await charts_of(visit, chosen))


@router.get("/w/{workspace_id}/events/{event_id}")
@embeddable(WORKSPACE, RESOURCE)
async def show_event(visit: Visited, own: EventHere) -> Response:
    return await visit.page("events/one.html", **await event_context(visit, own))


@router.get("/w/{workspace_id}/events/{event_id}/log")
@embeddable(WORKSPACE, RESOURCE)
async def show_event_log(visit: Visited, own: EventHere) -> Response:
    """Return the part of the page that changes while deliveries are in progress."""
    return visit.part("events/log.html", **await event_context(visit, own))


def _resource(visit: Visit) -> tuple[str, ...]:
    return tuple(only(visit.embed).values())


async def event_context(visit: Visit, own: OwnEvent) -> dict[str, Any]:
    parts, log = visit.parts, own.log
    rules = await all_rules(visit)
    failed = [one for one in log.deliveries if one.status is Status.FAILED]
    ongoing = [one for one in log.deliveries if not one.status.ended]
    return {
        "log": log,
        "open": own.open,
        "now": datetime.now(UTC),
        "rule_names": {
            rule.id: " · ".join(filter(None, (rule.event, rule.resource))) for rule in rules
        },
        "run_url": None if visit.embed else run_url(parts.ui_url, parts.client, log.event_id),
        "can_redeliver": not own.open and len(failed) > 1,
        "can_cancel": own.open and len(ongoing) != 1 and not only(visit.embed),
        "failed": failed,
        "people": [(field, text, hash_of(visit, text)) for field, text in log.people],
    }


async def _chosen(visit: Visit) -> EventFilter:
    """Read the address's filters. Raises `ApiError` if an embedded session may not ask for them."""
    chosen = EventFilter.of(visit.query, visit.zone)
    query = chosen.query(visit.workspace.id, datetime.now(UTC))
    await require_own_filters(visit.catalog, visit.embed, query)
    return chosen


async def _connections(visit: Visit) -> list[Connection]:
    """Return the workspace's, or only those of the rules that an embedded session may see."""
    found = await all_connections(visit)
    if not only(visit.embed):
        return found
    used = {rule.connection for rule in await all_rules(visit)}
    return [one for one in found if one.id in used]


async def _listed(visit: Visit, chosen: EventFilter, now: datetime) -> EventPage:
    return await list_described(
        visit.parts.client,
        visit.within(chosen.query(visit.workspace.id, now)),
        limit=ON_A_PAGE,
        cursor=visit.query.get("cursor"),
    )


async def _listed_with_connections(
    visit: Visit, chosen: EventFilter, now: datetime
) -> tuple[EventPage, list[Connection]]:
    return await asyncio.gather(_listed(visit, chosen, now), _connections(visit))


def _list_context(
    visit: Visit, chosen: EventFilter, page: EventPage, connections: Any, now: datetime
) -> dict[str, Any]:
    first_page = "cursor" not in visit.query
    return {
        "chosen": chosen,
        "events": listed(visit.embed, page.events),
        "next_cursor": page.next_cursor,
        "first_page": first_page,
        "live": first_page and visit.query.get("live") != "off",
        "fresh_after": now - FRESH,
        "connections": connections,
        "connection_names": {connection.id: connection.name for connection in connections},
        "statuses": STATUSES,
    }


async def charts_of(
    visit: Visit, chosen: EventFilter, seconds: float = CHART_SECONDS
) -> dict[str, Any]:
    """Return counts by status, deliveries over time, latency; None for what is unavailable.

    `charts_follow` if they take longer than `seconds`: the page then requests them afterwards.
    """
    chosen = replace(chosen, status=None)
    key = ("charts", visit.workspace.id, _resource(visit), chosen)
    charts = {"charts_follow": False, "counts": None, "over_time": None, "latency": None}
    try:
        async with asyncio.timeout(seconds):
            charts |= await visit.console.shared_reads.read(key, lambda: _charts(visit, chosen))
    except TimeoutError:
        charts["charts_follow"] = seconds < CHART_SECONDS
    except ValueError:  # names that can't be counted
        pass
    return charts


async def _charts(visit: Visit, chosen: EventFilter) -> dict[str, Any]:
    client, now = visit.parts.client, datetime.now(UTC)
    query = visit.within(chosen.query(visit.workspace.id, now))
    turn = visit.console.shared_reads.turn(visit.caller.key)
    async with asyncio.timeout(COUNTING_SECONDS), turn:
        buckets, delivered = await asyncio.gather(
            count_over_time(client, query, chosen.bars(now), visit.console.kept_counts),
            recent_runs(client, replace(query, status=Status.COMPLETED), LATENCY_SAMPLE),
        )
    times = [took for run in delivered.runs if (took := _took(run)) is not None]
    return {
        "counts": total(buckets),
        "over_time": buckets if any(one.counts.total for one in buckets) else None,
        "latency": latency(times) if times else None,
    }


def _took(run: RecentRun) -> timedelta | None:
    """Return how long a delivery took; None where no rule matched."""
    if not run.get(RULES):
        return None
    return run.raw.close_time.ToDatetime(UTC) - run.accepted_at
