"""Redeliveries of many events: plan, start, watch, cancel."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends
from pydantic import ValidationError
from starlette.responses import Response

from catalog.connections import Connection
from catalog.errors import NotFound
from catalog.scopes import OPERATE
from catalog.values import read_id
from delivery.reason import Reason, headline
from delivery.selection import (
    EVENTS_PER_SECOND,
    MOST_PER_SECOND,
    InvalidSelection,
    Mode,
    Selection,
    select,
)
from destinations.headlines import vendor_of
from operations.bulk_redelivery import (
    NothingSelected,
    RedeliveryNotFound,
    RedeliveryStatus,
    plan_redelivery,
    read_redelivery,
    start_redelivery,
)
from operations.bulk_redelivery import cancel_redelivery as cancel_in_engine
from operations.redelivery_list import list_redeliveries
from starter.api.errors import ApiError
from starter.api.routing import needs
from starter.console.event_filter import EventFilter, field_value, read_time
from starter.console.names import all_connections, known_names
from starter.console.route import (
    InWorkspace,
    Visited,
    console_router,
    see_other,
)
from starter.console.visit import Visit
from starter.console.words import sentence
from starter.redelivery_objects import within

router = console_router()

MODES = {
    Mode.FAILED: (
        "What failed",
        "Failed deliveries are sent again with the same ids, so destinations count none twice.",
    ),
    Mode.AGAIN: (
        "What was delivered, as new events",
        "Delivered events are sent again. Destinations treat them as new: campaigns may start.",
    ),
    Mode.IDENTIFY_ONLY: (
        "People only",
        "Only identify is sent again for delivered events. Segments may change.",
    ),
}


async def redelivery_of(visit: InWorkspace, redelivery_id: str) -> RedeliveryStatus:
    """Raises `RedeliveryNotFound` when it isn't the workspace's."""
    status = None
    if read_id(redelivery_id) is not None:
        status = await read_redelivery(visit.parts.client, redelivery_id)
    if status is None or status.selection.workspace != visit.workspace.id:
        raise RedeliveryNotFound("there is no such redelivery here")
    return status


# The redelivery that a page's address names.
RedeliveryHere = Annotated[RedeliveryStatus, Depends(redelivery_of)]


@router.get("/w/{workspace_id}/redeliveries")
async def show_redeliveries(visit: InWorkspace) -> Response:
    return await visit.page(
        "redeliveries/list.html",
        records=await list_redeliveries(visit.parts.client, visit.workspace.id),
        modes=MODES,
        started=_started,
    )


@router.get("/w/{workspace_id}/redeliveries/new")
@needs(OPERATE)
async def new_redelivery(visit: InWorkspace) -> Response:
    """Show the form; with `plan` in the address, also what it would do."""
    asked = visit.query
    if "plan" not in asked:
        return await _form_page(visit, dict(asked))
    try:
        selection = _selection(visit, dict(asked))
        selection = await within(visit.catalog, visit.organization, selection)
    except (InvalidSelection, ApiError) as err:
        message = err.message if isinstance(err, ApiError) else str(err)
        return await _form_page(visit, dict(asked), fault=sentence(message), status=400)
    plan = await plan_redelivery(visit.parts.client, selection)
    return await _form_page(visit, dict(asked), plan=plan)


@router.post("/w/{workspace_id}/redeliveries")
@needs(OPERATE)
async def create_redelivery(visit: InWorkspace) -> Response:
    """Start it by the plan that was shown, whose selection is sent back whole."""
    try:
        selection = Selection.model_validate_json(visit.form.get("selection", ""))
    except ValidationError:
        raise ApiError(400, "the plan can't be read: go back and plan it again") from None
    if selection.workspace != visit.workspace.id:
        raise NotFound("workspace", selection.workspace)
    selection = await within(visit.catalog, visit.organization, selection)
    asked = _asked(selection)
    if selection.mode.sends_delivered_ones and "campaigns_may_start" not in visit.form:
        fault = "Tick the box to confirm that campaigns may start again."
        return await _form_page(visit, asked, fault=fault, status=400)
    plan = await plan_redelivery(visit.parts.client, selection)
    try:
        started = await start_redelivery(
            visit.parts.client,
            plan,
            task_queue=visit.parts.task_queue,
            per_second=_pace(visit.form.text("per_second")),
        )
    except (NothingSelected, InvalidSelection) as err:
        return await _form_page(visit, asked, plan=plan, fault=sentence(str(err)), status=409)
    visit.request.state.said = {"redelivery_id": started.id}
    return see_other(f"/w/{visit.workspace.id}/redeliveries/{started.id}", "redelivery")


@router.get("/w/{workspace_id}/redeliveries/{redelivery_id}")
async def show_redelivery(visit: Visited, status: RedeliveryHere) -> Response:
    return await visit.page("redeliveries/one.html", **_context(status))


@router.get("/w/{workspace_id}/redeliveries/{redelivery_id}/progress")
async def show_progress(visit: Visited, status: RedeliveryHere) -> Response:
    return visit.part("redeliveries/progress.html", **_context(status))


@router.post("/w/{workspace_id}/redeliveries/{redelivery_id}/cancel")
@needs(OPERATE)
async def cancel_redelivery(visit: Visited, status: RedeliveryHere) -> Response:
    await cancel_in_engine(visit.parts.client, status.id)
    path = f"/w/{status.selection.workspace}/redeliveries/{status.id}"
    return see_other(path, "redelivery-canceled")


def _context(status: RedeliveryStatus) -> dict[str, Any]:
    return {"redelivery": status, "modes": MODES, "started": _started(status)}


def _started(status: RedeliveryStatus) -> EventFilter:
    """Filter the list to the events that it started, by when they were first accepted."""
    selection = status.selection
    if selection.mode.sends_delivered_ones:
        return EventFilter(redelivery=status.id, start=selection.as_of)
    return EventFilter(
        redelivery=status.id,
        start=selection.accepted_from,
        end=selection.accepted_to + timedelta(seconds=1),  # addresses have whole seconds
    )


def _selection(visit: Visit, asked: dict[str, str]) -> Selection:
    """Read the form. Raises `ApiError` and `InvalidSelection`."""
    start = read_time("from", asked.get("from", ""), visit.zone)
    if start is None:
        raise InvalidSelection("from: choose the start of the time range")
    mode = asked.get("mode", Mode.FAILED)
    return select(
        visit.workspace.id,
        now=datetime.now(UTC),
        accepted_from=start,
        accepted_to=read_time("to", asked.get("to", ""), visit.zone),
        as_of=read_time("as_of", asked.get("as_of", ""), visit.zone),
        connection=asked.get("connection") or None,
        event=asked.get("event", "").strip() or None,
        mode=Mode(mode) if mode in set(Mode) else Mode.FAILED,
        reason=asked.get("reason") or None,
    )


def _asked(selection: Selection) -> dict[str, str]:
    return {
        "from": selection.accepted_from.isoformat(),
        "to": selection.accepted_to.isoformat(),
        "connection": selection.connection or "",
        "event": selection.event or "",
        "mode": selection.mode,
        "reason": selection.reason or "",
        "as_of": selection.as_of.isoformat() if selection.reason else "",
    }


def _why(asked: dict[str, str], connections: Sequence[Connection]) -> str | None:
    """Say for which failures the redelivery is, if only for those of an issue."""
    reason = Reason.read(asked.get("reason", ""))
    types = [one.type for one in connections if one.id == asked.get("connection")]
    return headline(vendor_of(types[0]), reason) if reason and types else None


def _pace(text: str) -> float:
    try:
        return float(text or EVENTS_PER_SECOND)
    except ValueError:
        raise ApiError(
            400, f"the pace must be a number of events per second, at most {MOST_PER_SECOND}"
        ) from None


async def _form_page(
    visit: Visit,
    asked: dict[str, str],
    *,
    plan: Any = None,
    fault: str | None = None,
    status: int = 200,
) -> Response:
    connections = await all_connections(visit)
    since = (datetime.now(UTC) - timedelta(hours=24)).isoformat()
    values = {
        "connection": "",
        "event": "",
        "reason": "",
        "as_of": "",
        "from": since,
        "to": "",
        "mode": "failed",
    } | asked
    for name in ("from", "to"):
        with contextlib.suppress(ApiError):  # what can't be read stays as it was typed
            values[name] = field_value(read_time(name, values[name], visit.zone), visit.zone)
    return await visit.page(
        "redeliveries/new.html",
        status=status,
        values=values,
        plan=plan,
        why=_why(asked, connections),
        fault=fault,
        modes=MODES,
        connections=connections,
        names=await known_names(visit),
        pace=EVENTS_PER_SECOND,
        most_pace=MOST_PER_SECOND,
    )
