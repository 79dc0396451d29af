"""Publishable keys of a workspace, and what each may do."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse

from catalog.api_key_rights import KeyRights
from catalog.api_keys import PublishableKeys
from starter.api.bodies import read_model
from starter.api.describing import body_of, errors
from starter.api.queries import KeyId, WorkspaceId
from starter.api.routing import authentication, caller_of, management_router, organisation_of
from starter.api.schemas.management import (
    CreatedPublishableKey,
    KeyRightsInput,
    PublishableKeyInput,
    PublishableKeyView,
)
from starter.shapes import publishable_key_object

router = management_router("Publishable keys")


@router.get(
    "/workspaces/{workspace_id}/publishable-keys",
    response_model=list[PublishableKeyView],
    response_model_exclude_unset=True,
    summary="List a workspace's publishable keys, newest first",
    responses=errors(404),
)
async def list_publishable_keys(request: Request, workspace_id: WorkspaceId) -> Any:
    """Revoked ones too."""
    own = await _own(request, workspace_id)
    found = await _keys(request).list(organisation_of(request))
    return [publishable_key_object(key) for key in found if key.workspace == own]


@router.post(
    "/workspaces/{workspace_id}/publishable-keys",
    status_code=201,
    response_model=CreatedPublishableKey,
    response_model_exclude_unset=True,
    summary="Create a publishable key",
    responses=errors(400, 404, 409, 413),
    openapi_extra=body_of(PublishableKeyInput),
)
async def create_publishable_key(request: Request, workspace_id: WorkspaceId) -> Any:
    """409: it is narrowed, and a process of an older release may still be running."""
    own = await _own(request, workspace_id)
    given = await read_model(request, PublishableKeyInput)
    chosen = {"events", "origins", "identify"} & given.model_fields_set
    made = await _keys(request).create(
        organisation_of(request),
        workspace=own,
        name=given.name,
        created_by=caller_of(request).key,
        rights=KeyRights.of(given.events, given.origins, given.identify) if chosen else None,
        kept_wide=given.kept_wide,
        replaces=given.replaces,
    )
    return JSONResponse({"publishable_key": publishable_key_object(made)}, status_code=201)


@router.put(
    "/publishable-keys/{key_id}/rights",
    response_model=PublishableKeyView,
    response_model_exclude_unset=True,
    summary="Narrow a publishable key, or keep it wide on purpose",
    responses=errors(400, 404, 409, 413),
    openapi_extra=body_of(KeyRightsInput),
)
async def put_key_rights(request: Request, key_id: KeyId) -> Any:
    """Events that were accepted before are delivered as the key was then."""
    given = await read_model(request, KeyRightsInput)
    changed = await _keys(request).set_rights(
        organisation_of(request),
        key_id,
        KeyRights.of(given.events, given.origins, given.identify),
        kept_wide=given.kept_wide,
    )
    return publishable_key_object(changed)


@router.post(
    "/publishable-keys/{key_id}/revoke",
    response_model=PublishableKeyView,
    response_model_exclude_unset=True,
    summary="Take a publishable key out of use for good",
    responses=errors(404),
)
async def revoke_publishable_key(request: Request, key_id: KeyId) -> Any:
    """Revoking it again changes nothing."""
    gone = await _keys(request).revoke(organisation_of(request), key_id)
    return publishable_key_object(gone)


async def _own(request: Request, workspace: str) -> str:
    return await authentication(request).require_workspace(
        caller_of(request), workspace, "workspace_id"
    )


def _keys(request: Request) -> PublishableKeys:
    found: PublishableKeys = request.app.state.parts.catalog.publishable_keys
    return found
