"""Connections: one configured destination each. Secrets go in and never come out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse

from catalog.connections import Connection as Stored
from catalog.embed_sessions import WORKSPACE
from catalog.scopes import OPERATE
from delivery.text import kind
from destinations.destination import NotListed
from destinations.registry import BY_TYPE
from starter.api.bodies import read_model
from starter.api.connection_changes import delete_connection as delete_and_tell
from starter.api.connection_changes import tell_held
from starter.api.dependencies import Dependencies
from starter.api.describing import body_of, errors
from starter.api.embedding import require_workspace
from starter.api.errors import ApiError, bad_request
from starter.api.queries import DEFAULT_LIMIT, Cursor, Limit, PathId, page_of
from starter.api.routing import (
    ApiDependencies,
    Organization,
    OwnWorkspace,
    caller_of,
    embeddable,
    management_router,
    needs,
)
from starter.api.schemas.connections import (
    ChangedConnection,
    Connection,
    ConnectionInput,
    CreatedConnection,
    DeleteConnection,
    DeletedConnection,
    VerifiedConnection,
)
from starter.api.schemas.shared import Page
from starter.connection_test import failed_test, verdict_on, verification_object
from starter.json_objects import connection_object
from starter.known_destinations import destination_of
from starter.live_options import live_options

router = management_router("Connections")


@router.get(
    "/connections",
    response_model=Page[Connection],
    summary="List the organization's connections, newest first",
    responses=errors(400),
)
async def list_connections(
    parts: ApiDependencies,
    organization: Organization,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    found = await parts.catalog.connections.list(organization, limit=limit, cursor=cursor)
    return page_of(found, limit, connection_object)


@router.get(
    "/workspaces/{workspace_id}/connections",
    response_model=Page[Connection],
    summary="List a workspace's connections, newest first",
    responses=errors(400, 404),
)
@embeddable(WORKSPACE)
async def list_workspace_connections(
    parts: ApiDependencies,
    organization: Organization,
    own: OwnWorkspace,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    found = await parts.catalog.connections.list(
        organization, workspace=own, limit=limit, cursor=cursor
    )
    return page_of(found, limit, connection_object)


@router.post(
    "/connections",
    status_code=201,
    response_model=CreatedConnection,
    summary="Create a connection",
    responses=errors(400, 404, 413),
    openapi_extra=body_of(ConnectionInput),
)
@embeddable(WORKSPACE)
async def create_connection(
    request: Request, parts: ApiDependencies, organization: Organization
) -> Any:
    """Secrets are encrypted. Webhooks are tested with a message before they are saved; with other
    destinations, a wrong secret shows at the first delivery.
    """
    given = await read_model(request, ConnectionInput)
    require_workspace(caller_of(request).session, given.workspace)
    fields = _fields(given.type, given.metadata)
    if not given.skip_test:
        await _test(parts, given.type, fields)
    made = await parts.catalog.connections.create(
        organization,
        workspace=given.workspace,
        type=given.type,
        name=given.name,
        fields=fields,
        hidden=given.hidden,
        created_by=caller_of(request).key,
    )
    request.state.said = {"connection_id": made.id}
    return JSONResponse({"connection": connection_object(made)}, status_code=201)


@router.get(
    "/connections/{connection_id}",
    response_model=Connection,
    summary="One connection",
    responses=errors(404),
)
@embeddable(WORKSPACE)
async def get_connection(
    parts: ApiDependencies, organization: Organization, connection_id: PathId
) -> Any:
    return connection_object(await parts.catalog.connections.get(organization, connection_id))


@router.put(
    "/connections/{connection_id}",
    response_model=Connection,
    summary="Change a connection",
    responses=errors(400, 404, 413),
    openapi_extra=body_of(ChangedConnection),
)
@embeddable(WORKSPACE)
async def update_connection(
    request: Request, parts: ApiDependencies, organization: Organization, connection_id: PathId
) -> Any:
    """Fields that are left out stay as they are; an empty one is cleared.

    A new secret or setting is used by the next attempt, makes a connection active again that was
    inactive because the former secret was refused, and lets its held deliveries continue.
    """
    given = await read_model(request, ChangedConnection)
    stored = await parts.catalog.connections.get(organization, connection_id)
    fields = _fields(stored.type, given.metadata)
    if not given.skip_test:
        await _test(parts, stored.type, fields, stored)
    changed = await parts.catalog.connections.update(
        organization,
        connection_id,
        name=given.name,
        fields=fields,
        hidden=given.hidden,
    )
    told = not changed.active or await tell_held(parts, changed)
    return {**connection_object(changed), **_warnings(told, "continue")}


@router.delete(
    "/connections/{connection_id}",
    response_model=DeletedConnection,
    summary="Delete a connection, its rules and its mapping",
    responses=errors(400, 404, 409, 413),
    openapi_extra=body_of(DeleteConnection, required=False),
)
@embeddable(WORKSPACE)
async def delete_connection(
    request: Request, parts: ApiDependencies, organization: Organization, connection_id: PathId
) -> Any:
    """409: it has active rules, and `force_delete` isn't set. Open deliveries fail."""
    given = await read_model(request, DeleteConnection)
    gone, told = await delete_and_tell(parts, organization, connection_id, force=given.force_delete)
    return {"id": gone.id, "type": gone.type, **_warnings(told, "fail")}


@router.post(
    "/connections/{connection_id}/pause",
    response_model=Connection,
    summary="Hold a connection's deliveries",
    responses=errors(404, 409),
)
@needs(OPERATE)
@embeddable(WORKSPACE)
async def pause_connection(
    parts: ApiDependencies, organization: Organization, connection_id: PathId
) -> Any:
    """No request is made until it is resumed; events are accepted and wait."""
    return connection_object(await parts.catalog.connections.pause(organization, connection_id))


@router.post(
    "/connections/{connection_id}/resume",
    response_model=Connection,
    summary="Let a connection deliver again",
    responses=errors(404),
)
@needs(OPERATE)
@embeddable(WORKSPACE)
async def resume_connection(
    parts: ApiDependencies, organization: Organization, connection_id: PathId
) -> Any:
    """For paused and inactive ones. Held deliveries continue at once, or `warnings` says when."""
    resumed = await parts.catalog.connections.resume(organization, connection_id)
    told = await tell_held(parts, resumed)
    return {**connection_object(resumed), **_warnings(told, "continue")}


@router.post(
    "/connections/{connection_id}/verify",
    response_model=VerifiedConnection,
    summary="Ask the destination whether settings and secrets are right",
    responses=errors(404),
)
@needs(OPERATE)
@embeddable(WORKSPACE)
async def verify_connection(
    parts: ApiDependencies, organization: Organization, connection_id: PathId
) -> Any:
    """Writes nothing there, and changes nothing here."""
    known = await parts.catalog.connections.get(organization, connection_id)
    return verification_object(known, await verdict_on(parts.clients, parts.catalog, known))


@router.get(
    "/connections/{connection_id}/actions",
    response_model=dict[str, Any],
    summary="Live data of the integration's actions",
    responses=errors(404, 409),
)
@embeddable(WORKSPACE)
async def get_connection_actions(
    parts: ApiDependencies, organization: Organization, connection_id: PathId
) -> Any:
    """By action and kind, such as `channels`, what its rules can name: `id` and `name` of each.

    409: the vendor doesn't list it for this connection, or doesn't answer.
    """
    found = await parts.catalog.connections.get(organization, connection_id)
    listed: dict[str, Any] = {}
    for action in destination_of(found.type).actions:
        try:
            live = await live_options(parts.clients, parts.catalog, found, action)
        except NotListed as err:
            raise ApiError(409, f"what {action.key} can name is not listed: {err}") from None
        listed[action.key] = {
            kind: [{"id": one.value, "name": one.label} for one in options]
            for kind, options in live.items()
        }
    return listed


def _fields(type: str, metadata: Mapping[str, Any]) -> dict[str, str]:
    """What the destination has a field for; clients send keys of their own besides."""
    fields = BY_TYPE[type].fields if type in BY_TYPE else ()
    given = {one.key: metadata[one.key] for one in fields if metadata.get(one.key) is not None}
    for key, value in given.items():
        if not isinstance(value, str):
            raise bad_request(f"metadata.{key}", f"must be a string, not {kind(value)}")
    return given


async def _test(
    parts: Dependencies, type: str, fields: Mapping[str, str], stored: Stored | None = None
) -> None:
    if failure := await failed_test(parts.clients, parts.catalog, type, fields, stored):
        raise bad_request("metadata", f"{failure}; set skip_test to save it anyway")


def _warnings(told: bool, will: str) -> dict[str, Any]:
    """Say what waits for the connection, and for how long, while it can't be notified."""
    if told:
        return {}
    return {
        "warnings": [
            "the change is stored, but Temporal is unavailable: deliveries that wait for the "
            f"connection {will} within an hour of its return"
        ]
    }
