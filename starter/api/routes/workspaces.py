"""Workspaces, and the catalog of names that their rules use."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse

from catalog.embed_sessions import WORKSPACE
from catalog.event_types import UsedName
from starter.api.bodies import read_model
from starter.api.describing import body_of, errors
from starter.api.queries import DEFAULT_LIMIT, Cursor, Limit, PathId, page_of
from starter.api.routing import (
    ApiDependencies,
    Organization,
    caller_of,
    embeddable,
    management_router,
)
from starter.api.schemas.shared import Page
from starter.api.schemas.workspaces import (
    CatalogEntry,
    CreatedWorkspace,
    Workspace,
    WorkspaceInput,
    WorkspaceWithKey,
)
from starter.json_objects import moment, workspace_object

router = management_router("Workspaces")


@router.get(
    "/workspaces",
    response_model=Page[Workspace],
    summary="List the workspaces, newest first",
    responses=errors(400),
)
async def list_workspaces(
    parts: ApiDependencies,
    organization: Organization,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    found = await parts.catalog.workspaces.list(organization, limit=limit, cursor=cursor)
    return page_of(found, limit, workspace_object)


@router.post(
    "/workspaces",
    status_code=201,
    response_model=CreatedWorkspace,
    summary="Create a workspace",
    responses=errors(400, 409, 413),
    openapi_extra=body_of(WorkspaceInput),
)
async def create_workspace(
    request: Request, parts: ApiDependencies, organization: Organization
) -> Any:
    """It starts with one publishable key. 409: there is one of that name."""
    given = await read_model(request, WorkspaceInput)
    made = await parts.catalog.workspaces.create(
        organization,
        name=given.name,
        description=given.description,
        created_by=caller_of(request).key,
    )
    request.state.said = {"workspace_id": made.id}
    return JSONResponse({"workspace": workspace_object(made)}, status_code=201)


@router.get(
    "/workspaces/{workspace_id}",
    response_model=WorkspaceWithKey,
    summary="One workspace with its publishable key",
    responses=errors(404),
)
async def get_workspace(
    parts: ApiDependencies, organization: Organization, workspace_id: PathId
) -> Any:
    workspace = await parts.catalog.workspaces.get(organization, workspace_id)
    key = await parts.catalog.publishable_keys.current(organization, workspace_id)
    return {
        **workspace_object(workspace),
        "publishable_key": None
        if key is None
        else {"public_key": key.public_key, "name": key.name},
    }


@router.put(
    "/workspaces/{workspace_id}",
    response_model=Workspace,
    summary="Change a workspace",
    responses=errors(400, 404, 409, 413),
    openapi_extra=body_of(WorkspaceInput),
)
async def update_workspace(
    request: Request, parts: ApiDependencies, organization: Organization, workspace_id: PathId
) -> Any:
    """Without `description` it stays as it is; null removes it."""
    workspaces = parts.catalog.workspaces
    given = await read_model(request, WorkspaceInput)
    description = given.description
    if "description" not in given.model_fields_set:
        description = (await workspaces.get(organization, workspace_id)).description
    changed = await workspaces.update(
        organization, workspace_id, name=given.name, description=description
    )
    return workspace_object(changed)


@router.get(
    "/workspaces/{workspace_id}/event-types",
    response_model=list[CatalogEntry],
    summary="The event types that rules have named",
    responses=errors(404),
)
@embeddable(WORKSPACE)
async def list_event_types(
    parts: ApiDependencies, organization: Organization, workspace_id: PathId
) -> Any:
    """An event needs no entry here to be accepted."""
    found = await parts.catalog.event_types.list(organization, workspace_id)
    return [_entry(entry) for entry in found]


@router.get(
    "/workspaces/{workspace_id}/resources",
    response_model=list[CatalogEntry],
    summary="The resources that rules have named",
    responses=errors(404),
)
@embeddable(WORKSPACE)
async def list_resources(
    parts: ApiDependencies, organization: Organization, workspace_id: PathId
) -> Any:
    found = await parts.catalog.resources.list(organization, workspace_id)
    return [_entry(entry) for entry in found]


def _entry(entry: UsedName) -> dict[str, Any]:
    return {
        "id": entry.id,
        "key": entry.key,
        "label": entry.label,
        "description": entry.description,
        "active": entry.active,
        "created_by": entry.created_by,
        "created_at": moment(entry.created_at),
        "updated_at": moment(entry.updated_at),
    }
