"""Connections: create, verify, change, pause, resume, delete."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.responses import Response

from catalog.connections import Connection
from catalog.errors import Conflict, InvalidValue, NotFound, OlderRelease
from delivery.errors import InvalidField
from destinations.destination import Destination, Verdict, Verification
from destinations.registry import BY_TYPE
from operations.held_runs import count_held
from starter.api.connection_changes import delete_connection as delete_and_tell
from starter.api.connection_changes import tell_held
from starter.connection_test import failed_test
from starter.console.forms import Form
from starter.console.names import all_rules, if_answered
from starter.console.route import (
    InWorkspace,
    console_router,
    dependencies_of,
    form_of,
    in_place,
    pages_of,
    see_other,
    session_of,
)
from starter.console.words import sentence

router = console_router()


async def connection_of(request: Request, workspace: InWorkspace, connection_id: str) -> Connection:
    connection = await dependencies_of(request).catalog.connections.get(
        session_of(request).organisation, connection_id
    )
    if connection.workspace != workspace.id:
        raise NotFound("connection", connection_id)
    return connection


# The connection that a page's address names.
ConnectionHere = Annotated[Connection, Depends(connection_of)]


@router.get("/w/{workspace_id}/connections")
async def list_connections(request: Request, workspace: InWorkspace) -> Response:
    parts, organisation = dependencies_of(request), session_of(request).organisation
    found = await parts.catalog.connections.list(
        organisation, workspace=workspace.id, cursor=request.query_params.get("cursor")
    )
    rules = await all_rules(parts.catalog, organisation, workspace.id)
    waiting = await asyncio.gather(
        *(if_answered(count_held(parts.client, one.id)) for one in found.records)
    )
    return await pages_of(request).page(
        request,
        "connections/list.html",
        records=found.records,
        next_cursor=found.next_cursor,
        waiting=dict(zip((one.id for one in found.records), waiting, strict=True)),
        rules={one.id: sum(rule.connection == one.id for rule in rules) for one in found.records},
    )


@router.get("/w/{workspace_id}/connections/new")
async def new_connection(request: Request, workspace: InWorkspace) -> Response:
    offered = await _offered(request)
    asked = request.query_params.get("type")
    destination = next((one for one in offered if one.type == asked), offered[0])
    values = {
        one.key: one.default or next((option.value for option in one.options), "")
        for one in destination.fields
    }
    name = re.sub(r"[^a-zA-Z0-9 _-]", " ", destination.label)
    return await _form_page(request, destination, {"name": name, **values})


@router.post("/w/{workspace_id}/connections")
async def create_connection(request: Request, workspace: InWorkspace) -> Response:
    form, session = form_of(request), session_of(request)
    destination = _destination(form.text("type"))
    given = _given(form, destination)
    values = {"name": form.text("name"), **given}
    if form.has("verify"):
        check = await _check(request, destination, given)
        return await _form_page(request, destination, values, check=check)
    if faults := await _failed_test(request, destination, given):
        return await _form_page(request, destination, values, faults=faults, status=400)
    try:
        made = await dependencies_of(request).catalog.connections.create(
            session.organisation,
            workspace=workspace.id,
            type=destination.type,
            name=values["name"],
            fields=given,
            created_by=session.key,
        )
    except (InvalidValue, OlderRelease) as err:
        faults = _faults(err, destination)
        return await _form_page(request, destination, values, faults=faults, status=400)
    return see_other(f"/w/{workspace.id}/connections/{made.id}", "connection")


@router.post("/w/{workspace_id}/connections/verify")
async def verify_entered(request: Request, workspace: InWorkspace) -> Response:
    """What isn't stored yet; the answer is put beside it."""
    form = form_of(request)
    destination = _destination(form.text("type"))
    check = await _check(request, destination, _given(form, destination))
    return pages_of(request).part(request, "connections/verdict.html", check=check)


@router.get("/w/{workspace_id}/connections/{connection_id}")
async def show_connection(request: Request, connection: ConnectionHere) -> Response:
    return await _page(request, connection)


@router.post("/w/{workspace_id}/connections/{connection_id}")
async def update_connection(request: Request, connection: ConnectionHere) -> Response:
    """Secrets that are left empty stay."""
    form, destination = form_of(request), _destination(connection.type)
    given = _given(form, destination, stored=True)
    values = {"name": form.text("name"), **given}
    if faults := await _failed_test(request, destination, given, connection):
        return await _page(request, connection, values=values, faults=faults, status=400)
    try:
        changed = await dependencies_of(request).catalog.connections.update(
            session_of(request).organisation,
            connection.id,
            name=values["name"],
            fields=given,
        )
    except InvalidValue as err:
        faults = _faults(err, destination)
        return await _page(request, connection, values=values, faults=faults, status=400)
    told = not changed.active or await tell_held(dependencies_of(request), changed)
    return see_other(_path(connection), "changed" if told else "changed-later")


@router.post("/w/{workspace_id}/connections/{connection_id}/verify")
async def verify_stored(request: Request, connection: ConnectionHere) -> Response:
    found = await dependencies_of(request).catalog.credentials.credential(
        connection.workspace, connection.id
    )
    check = await dependencies_of(request).clients[found.type].verify(found)
    if in_place(request):
        return pages_of(request).part(request, "connections/verdict.html", check=_told(check))
    return await _page(request, connection, check=_told(check))


@router.post("/w/{workspace_id}/connections/{connection_id}/pause")
async def pause_connection(request: Request, connection: ConnectionHere) -> Response:
    await dependencies_of(request).catalog.connections.pause(
        session_of(request).organisation, connection.id
    )
    return see_other(_path(connection), "paused")


@router.post("/w/{workspace_id}/connections/{connection_id}/resume")
async def resume_connection(request: Request, connection: ConnectionHere) -> Response:
    resumed = await dependencies_of(request).catalog.connections.resume(
        session_of(request).organisation, connection.id
    )
    told = await tell_held(dependencies_of(request), resumed)
    return see_other(_path(connection), "resumed" if told else "resumed-later")


@router.post("/w/{workspace_id}/connections/{connection_id}/delete")
async def delete_connection(request: Request, connection: ConnectionHere) -> Response:
    try:
        _, told = await delete_and_tell(
            dependencies_of(request),
            session_of(request).organisation,
            connection.id,
            force=form_of(request).has("force"),
        )
    except Conflict:
        error = "It has active rules: tick the box to delete them, too."
        return await _page(request, connection, faults={"force": error}, status=409)
    done = "connection-gone" if told else "connection-gone-later"
    return see_other(f"/w/{connection.workspace}/connections", done)


async def _page(
    request: Request,
    connection: Connection,
    *,
    values: dict[str, str] | None = None,
    faults: dict[str, str] | None = None,
    check: dict[str, Any] | None = None,
    status: int = 200,
) -> Response:
    parts, organisation = dependencies_of(request), session_of(request).organisation
    rules = await all_rules(parts.catalog, organisation, connection.workspace)
    return await pages_of(request).page(
        request,
        "connections/one.html",
        status=status,
        connection=connection,
        values=values or {"name": connection.name, **connection.settings},
        destination=_destination(connection.type),
        faults=faults or {},
        check=check,
        rules=[rule for rule in rules if rule.connection == connection.id],
        waiting=await if_answered(count_held(parts.client, connection.id)),
    )


async def _form_page(
    request: Request,
    destination: Destination,
    values: dict[str, str],
    *,
    faults: dict[str, str] | None = None,
    check: dict[str, Any] | None = None,
    status: int = 200,
) -> Response:
    return await pages_of(request).page(
        request,
        "connections/new.html",
        status=status,
        values=values,
        faults=faults or {},
        check=check,
        destination=destination,
        destinations=await _offered(request),
    )


async def _offered(request: Request) -> list[Destination]:
    """Those that every running worker can deliver to."""
    fleet = await dependencies_of(request).catalog.workers.fleet()
    return [one for one in BY_TYPE.values() if one.type in fleet.destination_types]


def _destination(type: str) -> Destination:
    """Raises `NotFound`."""
    if type not in BY_TYPE:
        raise NotFound("destination", type)
    return BY_TYPE[type]


def _given(form: Form, destination: Destination, *, stored: bool = False) -> dict[str, str]:
    """The fields by key; of a stored connection, without the secrets that stay."""
    given = {one.key: form.text(f"f.{one.key}") for one in destination.fields}
    for key in destination.secret_keys if stored else ():
        if form.has(f"clear.{key}"):
            given[key] = ""
        elif not given[key]:
            del given[key]
    return given


async def _check(
    request: Request, destination: Destination, given: dict[str, str]
) -> dict[str, Any]:
    try:
        credential = destination.enter(given)
    except InvalidField as err:
        message = _fault(err.field, err.problem, destination)
        return {"tone": "quiet", "word": "Not checked", "message": message}
    return _told(await dependencies_of(request).clients[destination.type].verify(credential))


async def _failed_test(
    request: Request,
    destination: Destination,
    given: dict[str, str],
    stored: Connection | None = None,
) -> dict[str, str]:
    if form_of(request).has("skip_test"):
        return {}
    parts = dependencies_of(request)
    failure = await failed_test(parts.clients, parts.catalog, destination.type, given, stored)
    return {"skip_test": sentence(failure)} if failure else {}


def _told(check: Verification) -> dict[str, Any]:
    told = {
        Verdict.RIGHT: ("good", "Right"),
        Verdict.WRONG_KEY: ("bad", "Wrong"),
        Verdict.WRONG_REGION: ("warn", "Other region"),
    }
    tone, word = told.get(check.verdict, ("quiet", "Not checked"))
    return {"tone": tone, "word": word, "message": sentence(check.message)}


def _faults(error: InvalidValue | OlderRelease, destination: Destination) -> dict[str, str]:
    if isinstance(error, OlderRelease):
        return {"type": sentence(str(error))}
    key = error.field.removeprefix("metadata.")
    name = key if key == error.field else f"f.{key}"
    return {name: _fault(key, error.problem, destination)}


def _fault(key: str, problem: str, destination: Destination) -> str:
    label = next((one.label for one in destination.fields if one.key == key), key)
    return sentence(f"{label} {problem}")


def _path(connection: Connection) -> str:
    return f"/w/{connection.workspace}/connections/{connection.id}"
