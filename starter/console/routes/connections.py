"""Connections: create, verify, change, pause, resume, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from pydantic import SecretStr
from starlette.responses import Response

from catalog.connections import Connection
from catalog.errors import Conflict, InvalidValue, NotFound
from destinations.customerio.destination import API_KEY, REGION, read_api_key
from destinations.destination import Verification
from operations.held_runs import count_held
from starter.connections import delete_connection as delete_and_tell
from starter.connections import tell_held
from starter.console.forms import Form
from starter.console.names import all_rules, if_answered
from starter.console.route import (
    console_router,
    form_of,
    in_place,
    pages_of,
    parts_of,
    see_other,
    session_of,
    workspace_of,
)
from starter.console.words import REGIONS, sentence

router = console_router()


@dataclass(frozen=True)
class _Entered:
    """What stands in the form."""

    settings: Mapping[str, str]
    secrets: Mapping[str, SecretStr]


@router.get("/w/{workspace_id}/connections")
async def list_connections(request: Request, workspace_id: str) -> Response:
    workspace = await workspace_of(request, workspace_id)
    parts, organisation = parts_of(request), session_of(request).organisation
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
async def new_connection(request: Request, workspace_id: str) -> Response:
    await workspace_of(request, workspace_id)
    return await _form_page(request, {"name": "Customer io", "region": "us"})


@router.post("/w/{workspace_id}/connections")
async def create_connection(request: Request, workspace_id: str) -> Response:
    workspace = await workspace_of(request, workspace_id)
    form, session = form_of(request), session_of(request)
    values = {"name": form.text("name"), "region": form.text("region")}
    if form.has("verify"):
        return await _form_page(request, values, check=await _check(request, form))
    try:
        made = await parts_of(request).catalog.connections.create(
            session.organisation,
            workspace=workspace.id,
            name=values["name"],
            region=values["region"],
            api_key=SecretStr(form.raw("api_key")),
            created_by=session.key,
        )
    except InvalidValue as err:
        return await _form_page(request, values, faults=_faults(err), status=400)
    return see_other(f"/w/{workspace.id}/connections/{made.id}", "connection")


@router.post("/w/{workspace_id}/connections/verify")
async def verify_key(request: Request, workspace_id: str) -> Response:
    """A key that isn't stored yet; the answer is put beside its field."""
    await workspace_of(request, workspace_id)
    check = await _check(request, form_of(request))
    return pages_of(request).part(request, "connections/verdict.html", check=check)


@router.get("/w/{workspace_id}/connections/{connection_id}")
async def show_connection(request: Request, workspace_id: str, connection_id: str) -> Response:
    connection = await _connection(request, workspace_id, connection_id)
    return await _page(request, connection)


@router.post("/w/{workspace_id}/connections/{connection_id}")
async def update_connection(request: Request, workspace_id: str, connection_id: str) -> Response:
    """Without a key the stored one stays."""
    connection = await _connection(request, workspace_id, connection_id)
    form = form_of(request)
    key = form.text("api_key")
    values = {"name": form.text("name"), "region": form.text("region")}
    try:
        changed = await parts_of(request).catalog.connections.update(
            session_of(request).organisation,
            connection.id,
            name=values["name"],
            region=values["region"],
            api_key=SecretStr(key) if key else None,
        )
    except InvalidValue as err:
        return await _page(request, connection, values=values, faults=_faults(err), status=400)
    told = not changed.active or await tell_held(parts_of(request), changed)
    return see_other(_path(connection), "changed" if told else "changed-later")


@router.post("/w/{workspace_id}/connections/{connection_id}/verify")
async def verify_stored_key(request: Request, workspace_id: str, connection_id: str) -> Response:
    connection = await _connection(request, workspace_id, connection_id)
    found = await parts_of(request).catalog.credentials.credential(
        connection.workspace, connection.id
    )
    check = await request.app.state.console.verify(found.type, found)
    if in_place(request):
        return pages_of(request).part(request, "connections/verdict.html", check=_told(check))
    return await _page(request, connection, check=_told(check))


@router.post("/w/{workspace_id}/connections/{connection_id}/pause")
async def pause_connection(request: Request, workspace_id: str, connection_id: str) -> Response:
    connection = await _connection(request, workspace_id, connection_id)
    await parts_of(request).catalog.connections.pause(
        session_of(request).organisation, connection.id
    )
    return see_other(_path(connection), "paused")


@router.post("/w/{workspace_id}/connections/{connection_id}/resume")
async def resume_connection(request: Request, workspace_id: str, connection_id: str) -> Response:
    connection = await _connection(request, workspace_id, connection_id)
    resumed = await parts_of(request).catalog.connections.resume(
        session_of(request).organisation, connection.id
    )
    told = await tell_held(parts_of(request), resumed)
    return see_other(_path(connection), "resumed" if told else "resumed-later")


@router.post("/w/{workspace_id}/connections/{connection_id}/delete")
async def delete_connection(request: Request, workspace_id: str, connection_id: str) -> Response:
    connection = await _connection(request, workspace_id, connection_id)
    try:
        _, told = await delete_and_tell(
            parts_of(request),
            session_of(request).organisation,
            connection.id,
            force=form_of(request).has("force"),
        )
    except Conflict:
        error = "It has active rules: tick the box to delete them, too."
        return await _page(request, connection, faults={"force": error}, status=409)
    done = "connection-gone" if told else "connection-gone-later"
    return see_other(f"/w/{connection.workspace}/connections", done)


async def _connection(request: Request, workspace_id: str, connection_id: str) -> Connection:
    workspace = await workspace_of(request, workspace_id)
    connection = await parts_of(request).catalog.connections.get(
        session_of(request).organisation, connection_id
    )
    if connection.workspace != workspace.id:
        raise NotFound("connection", connection_id)
    return connection


async def _page(
    request: Request,
    connection: Connection,
    *,
    values: dict[str, str] | None = None,
    faults: dict[str, str] | None = None,
    check: dict[str, Any] | None = None,
    status: int = 200,
) -> Response:
    parts, organisation = parts_of(request), session_of(request).organisation
    rules = await all_rules(parts.catalog, organisation, connection.workspace)
    return await pages_of(request).page(
        request,
        "connections/one.html",
        status=status,
        connection=connection,
        values=values or {"name": connection.name, "region": connection.region},
        faults=faults or {},
        check=check,
        rules=[rule for rule in rules if rule.connection == connection.id],
        waiting=await if_answered(count_held(parts.client, connection.id)),
        base_urls=request.app.state.console.base_urls,
        regions=REGIONS,
    )


async def _form_page(
    request: Request,
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
        base_urls=request.app.state.console.base_urls,
        regions=REGIONS,
    )


async def _check(request: Request, form: Form) -> dict[str, Any]:
    key, region = form.text("api_key"), form.text("region")
    if region not in REGIONS:
        return _unchecked("Choose a region first.")
    if not key:
        return _unchecked("Enter the key first.")
    try:
        api_key = read_api_key(key)
    except ValueError as err:
        return _unchecked(f"The key {err}.")
    credential = _Entered({REGION: region}, {API_KEY: SecretStr(api_key)})
    check = await request.app.state.console.verify("customer_io", credential)
    return _told(check)


def _told(check: Verification) -> dict[str, Any]:
    told = {
        "ok": ("good", "Right key"),
        "wrong_key": ("bad", "Wrong key"),
        "wrong_region": ("warn", "Right key, other region"),
    }
    tone, word = told.get(str(check.verdict), ("quiet", "Not checked"))
    return {"tone": tone, "word": word, "message": sentence(check.message)}


def _unchecked(message: str) -> dict[str, Any]:
    return {"tone": "quiet", "word": "Not checked", "message": message}


def _key_fault(error: InvalidValue) -> str:
    return f"The key {error.problem}."


def _faults(error: InvalidValue) -> dict[str, str]:
    if error.field == "api_key":
        return {"api_key": _key_fault(error)}
    return {error.field: f"{error.field.capitalize()} {error.problem}."}


def _path(connection: Connection) -> str:
    return f"/w/{connection.workspace}/connections/{connection.id}"
