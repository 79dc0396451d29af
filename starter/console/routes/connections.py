"""Connections: create, verify, change, pause, resume, delete."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Depends
from starlette.responses import Response

from catalog.connections import Connection
from catalog.embed_sessions import WORKSPACE
from catalog.errors import Conflict, InvalidValue, NotFound, OlderRelease
from catalog.scopes import OPERATE
from delivery.errors import InvalidField
from destinations.destination import Destination, Verdict, Verification
from operations.held_runs import count_held
from starter.api.connection_changes import delete_connection as delete_and_tell
from starter.api.connection_changes import tell_held
from starter.api.routing import embeddable, needs
from starter.connection_test import failed_test, verdict_on
from starter.console.forms import Form
from starter.console.names import all_rules, if_answered
from starter.console.route import (
    InWorkspace,
    Visited,
    console_router,
    see_other,
)
from starter.console.visit import Visit
from starter.console.words import sentence
from starter.known_destinations import destination_of, offered_destinations

router = console_router()

VERDICTS = {
    Verdict.RIGHT: ("good", "Right"),
    Verdict.WRONG_KEY: ("bad", "Wrong"),
    Verdict.WRONG_REGION: ("warn", "Other region"),
}


async def connection_of(visit: InWorkspace, connection_id: str) -> Connection:
    connection = await visit.catalog.connections.get(visit.organization, connection_id)
    if connection.workspace != visit.workspace.id:
        raise NotFound("connection", connection_id)
    return connection


# The connection that a page's address names.
ConnectionHere = Annotated[Connection, Depends(connection_of)]


@router.get("/w/{workspace_id}/connections")
@embeddable(WORKSPACE)
async def list_connections(visit: InWorkspace) -> Response:
    found = await visit.catalog.connections.list(
        visit.organization, workspace=visit.workspace.id, cursor=visit.query.get("cursor")
    )
    rules = await all_rules(visit)
    waiting = await asyncio.gather(
        *(if_answered(count_held(visit.parts.client, one.id)) for one in found.records)
    )
    return await visit.page(
        "connections/list.html",
        records=found.records,
        next_cursor=found.next_cursor,
        waiting=dict(zip((one.id for one in found.records), waiting, strict=True)),
        rules={one.id: sum(rule.connection == one.id for rule in rules) for one in found.records},
    )


@router.get("/w/{workspace_id}/connections/new")
@embeddable(WORKSPACE)
async def new_connection(visit: InWorkspace) -> Response:
    offered = await offered_destinations(visit.catalog)
    asked = visit.query.get("type")
    destination = next((one for one in offered if one.type == asked), offered[0])
    values = {
        one.key: one.default or next((option.value for option in one.options), "")
        for one in destination.fields
    }
    return await _form_page(visit, destination, {"name": destination.label, **values})


@router.post("/w/{workspace_id}/connections")
@embeddable(WORKSPACE)
async def create_connection(visit: InWorkspace) -> Response:
    form, session = visit.form, visit.session
    destination = destination_of(form.text("type"))
    given = _given(form, destination)
    values = {"name": form.text("name"), **given}
    if "verify" in form:
        check = await _check(visit, destination, given)
        if visit.in_place:
            return visit.part("connections/verdict.html", check=check)
        return await _form_page(visit, destination, values, check=check)
    if faults := await _failed_test(visit, destination, given):
        return await _not_saved(visit, destination, values, faults)
    try:
        made = await visit.catalog.connections.create(
            session.organization,
            workspace=visit.workspace.id,
            type=destination.type,
            name=values["name"],
            fields=given,
            created_by=session.actor,
        )
    except (InvalidValue, OlderRelease) as err:
        return await _not_saved(visit, destination, values, _faults(err, destination))
    visit.request.state.said = {"connection_id": made.id}
    return visit.go_to(f"/w/{visit.workspace.id}/connections/{made.id}", "connection")


@router.get("/w/{workspace_id}/connections/{connection_id}")
@embeddable(WORKSPACE)
async def show_connection(visit: Visited, connection: ConnectionHere) -> Response:
    return await _page(visit, connection)


@router.post("/w/{workspace_id}/connections/{connection_id}")
@embeddable(WORKSPACE)
async def update_connection(visit: Visited, connection: ConnectionHere) -> Response:
    """Change it. Secrets that are left empty are kept."""
    form, destination = visit.form, destination_of(connection.type)
    given = _given(form, destination, stored=True)
    values = {"name": form.text("name"), **given}
    if faults := await _failed_test(visit, destination, given, connection):
        return await _not_saved(visit, destination, values, faults, connection)
    try:
        changed = await visit.catalog.connections.update(
            visit.organization,
            connection.id,
            name=values["name"],
            fields=given,
        )
    except InvalidValue as err:
        faults = _faults(err, destination)
        return await _not_saved(visit, destination, values, faults, connection)
    reached = not changed.active or await tell_held(visit.parts, changed)
    return visit.go_to(_path(connection), "changed" if reached else "changed-later")


@router.post("/w/{workspace_id}/connections/{connection_id}/verify")
@needs(OPERATE)
@embeddable(WORKSPACE)
async def verify_stored(visit: Visited, connection: ConnectionHere) -> Response:
    check = _verdict(await verdict_on(visit.parts.clients, visit.catalog, connection))
    if visit.in_place:
        return visit.part("connections/verdict.html", check=check)
    return await _page(visit, connection, check=check)


@router.post("/w/{workspace_id}/connections/{connection_id}/pause")
@needs(OPERATE)
@embeddable(WORKSPACE)
async def pause_connection(visit: Visited, connection: ConnectionHere) -> Response:
    await visit.catalog.connections.pause(visit.organization, connection.id)
    return see_other(_path(connection), "paused")


@router.post("/w/{workspace_id}/connections/{connection_id}/resume")
@needs(OPERATE)
@embeddable(WORKSPACE)
async def resume_connection(visit: Visited, connection: ConnectionHere) -> Response:
    resumed = await visit.catalog.connections.resume(visit.organization, connection.id)
    reached = await tell_held(visit.parts, resumed)
    return see_other(_path(connection), "resumed" if reached else "resumed-later")


@router.post("/w/{workspace_id}/connections/{connection_id}/delete")
@embeddable(WORKSPACE)
async def delete_connection(visit: Visited, connection: ConnectionHere) -> Response:
    try:
        _, reached = await delete_and_tell(
            visit.parts,
            visit.organization,
            connection.id,
            force="force" in visit.form,
        )
    except Conflict:
        error = "It has active rules. Tick the box to delete them too."
        return await _page(visit, connection, faults={"force": error}, status=409)
    done = "connection-gone" if reached else "connection-gone-later"
    return see_other(f"/w/{connection.workspace}/connections", done)


async def _not_saved(
    visit: Visit,
    destination: Destination,
    values: dict[str, str],
    faults: dict[str, str],
    stored: Connection | None = None,
) -> Response:
    """Show what is wrong. In place, the secrets that were typed stay; a page never holds them."""
    if visit.in_place:
        known = {"destination": destination, "values": values, "faults": faults}
        if stored is not None:
            known["connection"] = stored
        return visit.part("connections/fields.html", status=400, **known)
    if stored is not None:
        return await _page(visit, stored, values=values, faults=faults, status=400)
    return await _form_page(visit, destination, values, faults=faults, status=400)


async def _page(
    visit: Visit,
    connection: Connection,
    *,
    values: dict[str, str] | None = None,
    faults: dict[str, str] | None = None,
    check: dict[str, Any] | None = None,
    status: int = 200,
) -> Response:
    rules = await all_rules(visit)
    return await visit.page(
        "connections/one.html",
        status=status,
        connection=connection,
        values=values or {"name": connection.name, **connection.settings},
        destination=destination_of(connection.type),
        faults=faults or {},
        check=check,
        rules=[rule for rule in rules if rule.connection == connection.id],
        waiting=await if_answered(count_held(visit.parts.client, connection.id)),
    )


async def _form_page(
    visit: Visit,
    destination: Destination,
    values: dict[str, str],
    *,
    faults: dict[str, str] | None = None,
    check: dict[str, Any] | None = None,
    status: int = 200,
) -> Response:
    return await visit.page(
        "connections/new.html",
        status=status,
        values=values,
        faults=faults or {},
        check=check,
        destination=destination,
        destinations=await offered_destinations(visit.catalog),
    )


def _given(form: Form, destination: Destination, *, stored: bool = False) -> dict[str, str]:
    """Return the fields by key; of a stored connection, without the secrets that are kept."""
    given = {one.key: form.text(f"f.{one.key}") for one in destination.fields}
    for key in destination.secret_keys if stored else ():
        if f"clear.{key}" in form:
            given[key] = ""
        elif not given[key]:
            del given[key]
    return given


async def _check(visit: Visit, destination: Destination, given: dict[str, str]) -> dict[str, Any]:
    try:
        credential = destination.enter(given)
    except InvalidField as err:
        message = _fault(err.field, err.problem, destination)
        return {"tone": "quiet", "word": "Not checked", "message": message}
    return _verdict(await visit.parts.clients[destination.type].verify(credential))


async def _failed_test(
    visit: Visit,
    destination: Destination,
    given: dict[str, str],
    stored: Connection | None = None,
) -> dict[str, str]:
    if "skip_test" in visit.form:
        return {}
    failure = await failed_test(visit.parts.clients, visit.catalog, destination.type, given, stored)
    return {"skip_test": sentence(failure)} if failure else {}


def _verdict(check: Verification) -> dict[str, Any]:
    tone, word = VERDICTS.get(check.verdict, ("quiet", "Not checked"))
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
