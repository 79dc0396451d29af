"""Publishable keys of a workspace, and what each may do."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse

from catalog.api_key_rights import KeyRights
from starter.api.bodies import read_model
from starter.api.describing import body_of, errors
from starter.api.queries import PathId
from starter.api.routing import (
    ApiDependencies,
    Organization,
    OwnWorkspace,
    caller_of,
    management_router,
)
from starter.api.schemas.publishable_keys import (
    CreatedPublishableKey,
    KeyRightsInput,
    PublishableKeyInput,
    PublishableKeyView,
)
from starter.json_objects import publishable_key_object

router = management_router("Publishable keys")


@router.get(
    "/workspaces/{workspace_id}/publishable-keys",
    response_model=list[PublishableKeyView],
    summary="List a workspace's publishable keys, newest first",
    responses=errors(404),
)
async def list_publishable_keys(
    parts: ApiDependencies, organization: Organization, own: OwnWorkspace
) -> Any:
    """Revoked ones too."""
    found = await parts.catalog.publishable_keys.list(organization)
    return [publishable_key_object(key) for key in found if key.workspace == own]


@router.post(
    "/workspaces/{workspace_id}/publishable-keys",
    status_code=201,
    response_model=CreatedPublishableKey,
    summary="Create a publishable key",
    responses=errors(400, 404, 409, 413),
    openapi_extra=body_of(PublishableKeyInput),
)
async def create_publishable_key(
    request: Request, parts: ApiDependencies, organization: Organization, own: OwnWorkspace
) -> Any:
    """409: it is narrowed, and a process of an older release may still be running."""
    given = await read_model(request, PublishableKeyInput)
    chosen = {"events", "origins", "identify"} & given.model_fields_set
    made = await parts.catalog.publishable_keys.create(
        organization,
        workspace=own,
        name=given.name,
        created_by=caller_of(request).key,
        rights=KeyRights.of(given.events, given.origins, given.identify) if chosen else None,
        kept_wide=given.kept_wide,
        replaces=given.replaces,
    )
    request.state.said = {"key_id": made.id}
    return JSONResponse({"publishable_key": publishable_key_object(made)}, status_code=201)


@router.put(
    "/publishable-keys/{key_id}/rights",
    response_model=PublishableKeyView,
    summary="Restrict a publishable key, or keep it unrestricted on purpose",
    responses=errors(400, 404, 409, 413),
    openapi_extra=body_of(KeyRightsInput),
)
async def put_key_rights(
    request: Request, parts: ApiDependencies, organization: Organization, key_id: PathId
) -> Any:
    """Events that were accepted earlier keep the rights that the key had then."""
    given = await read_model(request, KeyRightsInput)
    changed = await parts.catalog.publishable_keys.set_rights(
        organization,
        key_id,
        KeyRights.of(given.events, given.origins, given.identify),
        kept_wide=given.kept_wide,
    )
    return publishable_key_object(changed)


@router.post(
    "/publishable-keys/{key_id}/revoke",
    response_model=PublishableKeyView,
    summary="Revoke a publishable key for good",
    responses=errors(404),
)
async def revoke_publishable_key(
    parts: ApiDependencies, organization: Organization, key_id: PathId
) -> Any:
    """Revoking it again changes nothing."""
    gone = await parts.catalog.publishable_keys.revoke(organization, key_id)
    return publishable_key_object(gone)
