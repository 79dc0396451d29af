"""Sessions of pages that are embedded in another product."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request

from catalog.embed_sessions import EmbedSession, NewEmbedSession
from catalog.scopes import MANAGE
from starter.api.bodies import read_model
from starter.api.describing import body_of, errors
from starter.api.embedding import own_origin
from starter.api.queries import DEFAULT_LIMIT, Cursor, Limit, page_of
from starter.api.routing import (
    ApiDependencies,
    Organization,
    authentication,
    caller_of,
    management_router,
    needs,
)
from starter.api.schemas.sessions import (
    CreatedSession,
    RefreshedSession,
    RevokedSession,
    Session,
    SessionInput,
)
from starter.api.schemas.shared import Page
from starter.json_objects import JsonObject, moment, present

router = management_router("Sessions")

PathSession = Annotated[str, Path(description="`sess_` and a UUID.", max_length=64)]
Filter = Annotated[str | None, Query(max_length=255)]


@router.post(
    "/sessions",
    response_model=CreatedSession,
    summary="Create a session for embedded pages",
    responses=errors(400, 404, 413),
    openapi_extra=body_of(SessionInput),
)
async def create_session(
    request: Request, parts: ApiDependencies, organization: Organization
) -> Any:
    """Its access token may do no more than the key that creates it, and ends with that key."""
    given = await read_model(request, SessionInput)
    chosen = NewEmbedSession(
        workspace=given.workspace_id,
        role=given.role,
        type=given.session_type,
        resource=given.resource,
        resource_id=given.resource_id,
        extra_scopes=tuple(dict.fromkeys(given.scopes)),
        origins=tuple(given.allowed_origins) if given.allowed_origins else None,
        external_user_id=given.external_user_id,
        launch_page=given.launch_page,
        ttl_seconds=given.ttl_seconds,
        launch_ttl_seconds=given.launch_ttl_seconds,
    )
    key = caller_of(request).key
    session, token = await parts.catalog.embed_sessions.create(organization, key, chosen)
    request.state.said = {"session_id": session.id, "workspace_id": session.workspace}
    return {
        **_refreshed(request, session),
        "launch_token": token,
        "launch_expires_at": moment(session.launch_expires_at),
        "launch_url": f"{own_origin(request)}/embed/{session.launch_page}?launch={token}",
    }


@router.get(
    "/sessions",
    response_model=Page[Session],
    summary="List a workspace's sessions of the last 30 days, newest first",
    responses=errors(400, 404),
)
@needs(MANAGE)
async def list_sessions(
    request: Request,
    parts: ApiDependencies,
    organization: Organization,
    workspace_id: Annotated[str, Query(json_schema_extra={"format": "uuid"}, max_length=64)],
    status: Literal["active", "revoked"] | None = None,
    resource: Filter = None,
    resource_id: Filter = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    """`is_expired` says that its access token has expired; it can be refreshed for 12 hours."""
    own = await authentication(request).require_workspace(
        caller_of(request), workspace_id, "workspace_id"
    )
    found = await parts.catalog.embed_sessions.list(
        organization,
        own,
        revoked=None if status is None else status == "revoked",
        resource=resource,
        resource_id=resource_id,
        limit=limit,
        cursor=cursor,
    )
    return page_of(found, limit, _listed)


@router.post(
    "/sessions/{session_id}/refresh",
    response_model=RefreshedSession,
    summary="Give a session a new access token",
    responses=errors(400, 404, 409),
)
async def refresh_session(
    request: Request, parts: ApiDependencies, organization: Organization, session_id: PathSession
) -> Any:
    """The tokens before are no longer accepted. 409: the session was revoked, is older than 12
    hours, or its key has ended.
    """
    session = await parts.catalog.embed_sessions.refresh(organization, session_id)
    return _refreshed(request, session)


@router.delete(
    "/sessions/{session_id}",
    response_model=RevokedSession,
    summary="Revoke a session",
    responses=errors(400, 404),
)
async def revoke_session(
    parts: ApiDependencies, organization: Organization, session_id: PathSession
) -> Any:
    """Its tokens are refused from now on. Revoking it again changes nothing."""
    await parts.catalog.embed_sessions.revoke(organization, session_id)
    return {"revoked": True}


def _refreshed(request: Request, session: EmbedSession) -> JsonObject:
    return {
        **_of_session(session),
        "access_token": request.app.state.session_tokens.sign(session),
        "expires_in": session.ttl_seconds,
    }


def _listed(session: EmbedSession) -> JsonObject:
    return {
        **_of_session(session),
        "status": "active" if session.revoked_at is None else "revoked",
        "created_at": moment(session.created_at),
        "is_expired": session.expired,
        **present(external_user_id=session.external_user_id),
    }


def _of_session(session: EmbedSession) -> JsonObject:
    return {
        "session_id": session.id,
        "workspace_id": session.workspace,
        "role": session.role,
        "session_type": session.type,
        "expires_at": moment(session.expires_at),
        **present(resource=session.resource, resource_id=session.resource_id),
    }
