"""Hold embedded sessions to their type, workspace and resource: for pages and API alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

from starlette.requests import Request

from catalog import Catalog
from catalog.embed_sessions import RESOURCE, EmbedSession
from catalog.paging import read_all
from catalog.rules import Rule
from catalog.values import read_id
from emitonce.ids import resource_id_hash
from eventlog.listed_event import ListedEvent
from eventlog.query import EventQuery
from starter.api.errors import forbidden, not_found


async def require_reach(request: Request, session: EmbedSession, types: frozenset[str]) -> None:
    """Check that a session may use a route that is for sessions of these `types`, and that what
    the route's path names is within the session. Events are checked where they are read.

    Raises:
        ApiError: 403 for the route, 404 for what is outside.
        NotFound: a connection or rule that doesn't exist.
    """
    if session.type not in types:
        raise forbidden("Authorization", f"is of a {session.type} session, which may not do this")
    ids, catalog = request.path_params, cast(Catalog, request.app.state.parts.catalog)
    if "workspace_id" in ids and not _same(ids["workspace_id"], session.workspace):
        raise not_found("workspace_id", "workspace")
    if "connection_id" in ids:
        await require_connection(catalog, session, ids["connection_id"])
    # A delivery is known by its rule, which may have been deleted since; its event is checked.
    if "rule_id" in ids and (session.only or "event_id" not in ids):
        rule = await catalog.rules.get(session.organization, ids["rule_id"])
        if rule.workspace != session.workspace or not session.covers(
            rule.resource, rule.resource_id
        ):
            raise not_found("rule_id", "rule")


async def require_connection(
    catalog: Catalog, session: EmbedSession | None, connection: str
) -> None:
    """Raises `ApiError` 404, or `NotFound`, for a connection outside of the session."""
    if session is None:
        return
    found = await catalog.connections.get(session.organization, connection)
    if found.workspace != session.workspace:
        raise not_found("connection_id", "connection")


def require_workspace(session: EmbedSession | None, workspace: str) -> None:
    """Raises `ApiError` 404 for a workspace that isn't the session's."""
    if session is not None and not _same(workspace, session.workspace):
        raise not_found("workspace", "workspace")


def require_resource(
    session: EmbedSession | None, resource: str | None, resource_id: str | None
) -> None:
    """Raises `ApiError` 403 for a resource that isn't the session's."""
    if session is not None and not session.covers(resource, resource_id):
        raise forbidden("resource", "and resource_id must be those of the session")


async def require_own_filters(
    catalog: Catalog, session: EmbedSession | None, query: EventQuery
) -> None:
    """Check that a session for one resource asks nothing about deliveries of other rules.

    Raises `ApiError` 403 for a reason, 404 for a connection or rule that none of its rules names.
    """
    if session is None or not session.only:
        return
    if query.reason is not None:
        raise forbidden("reason", "may be of rules for other resources")
    if query.connection is not None or query.rule is not None:
        rules = await own_rules(catalog, session)
        if query.connection not in (None, *(rule.connection for rule in rules)):
            raise not_found("connection", "connection")
        if query.rule not in (None, *(rule.id for rule in rules)):
            raise not_found("rule", "rule")


async def own_rules(catalog: Catalog, session: EmbedSession) -> list[Rule]:
    """List the rules that a session may see."""
    return await read_all(
        catalog.rules.list, session.organization, workspace=session.workspace, **session.only
    )


def own_origin(request: Request) -> str:
    """Return the origin at which embedded pages are served."""
    parts = request.app.state.parts
    return parts.public_url or f"{request.url.scheme}://{request.url.netloc}"


def embedding_origins(request: Request, session: EmbedSession) -> tuple[str, ...]:
    """Return the origins of pages that may embed the session's: its own, else the setting's."""
    origins: tuple[str, ...] = session.origins or request.app.state.parts.embed_origins
    return origins


def may_come_from(request: Request, session: EmbedSession, origins: Iterable[str]) -> bool:
    """`origins` are the `Origin` headers of a request; other programs than browsers send none."""
    allowed = {own_origin(request), *embedding_origins(request, session)}
    return all(origin.lower() in allowed for origin in origins)


def within(session: EmbedSession | None, query: EventQuery, secret: bytes) -> EventQuery:
    """Narrow what is listed to the session's resource."""
    if session is None or session.type != RESOURCE:
        return query
    hashed = resource_id_hash(secret, session.resource_id or "")
    return replace(query, resource=session.resource, resource_id_hash=hashed)


def listed(session: EmbedSession | None, events: Iterable[ListedEvent]) -> tuple[ListedEvent, ...]:
    """Leave out why events failed, which may be said of rules for other resources."""
    if not only(session):
        return tuple(events)
    return tuple(event.model_copy(update={"failures": ()}) for event in events)


def only(session: EmbedSession | None) -> dict[str, Any]:
    """The resource that rules are listed of; empty if it is any."""
    return {} if session is None else session.only


def _same(given: str, id: str) -> bool:
    return str(read_id(given)) == id
