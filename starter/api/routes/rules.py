"""Rules: which events go to which connection."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import JSONResponse

from catalog.embed_sessions import RESOURCE, WORKSPACE
from catalog.rule_change import RuleChange
from starter.api.bodies import read_model
from starter.api.describing import body_of, errors
from starter.api.embedding import (
    only,
    require_connection,
    require_resource,
    require_workspace,
)
from starter.api.queries import DEFAULT_LIMIT, Cursor, Limit, PathId, page_of
from starter.api.routing import (
    ApiDependencies,
    Called,
    Organization,
    OwnWorkspace,
    caller_of,
    embeddable,
    management_router,
)
from starter.api.schemas.rules import ChangedRule, CreatedRule, DeletedRule, Rule, RuleInput
from starter.api.schemas.shared import Page
from starter.json_objects import deleted_rule_object, rule_object
from starter.live_options import check_listed

router = management_router("Rules")

Filter = Annotated[
    str | None,
    Query(
        max_length=255,
        description="Only rules that name exactly this; rules for any value are left out.",
    ),
]


@router.get(
    "/rules",
    response_model=Page[Rule],
    summary="List the organization's rules, newest first",
    responses=errors(400),
)
async def list_rules(
    parts: ApiDependencies,
    organization: Organization,
    event: Filter = None,
    resource: Filter = None,
    resource_id: Filter = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    found = await parts.catalog.rules.list(
        organization,
        event=event,
        resource=resource,
        resource_id=resource_id,
        limit=limit,
        cursor=cursor,
    )
    return page_of(found, limit, rule_object)


@router.get(
    "/workspaces/{workspace_id}/rules",
    response_model=Page[Rule],
    summary="List a workspace's rules, newest first",
    responses=errors(400, 404),
)
@embeddable(WORKSPACE, RESOURCE)
async def list_workspace_rules(
    parts: ApiDependencies,
    caller: Called,
    organization: Organization,
    own: OwnWorkspace,
    event: Filter = None,
    resource: Filter = None,
    resource_id: Filter = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    found = await parts.catalog.rules.list(
        organization,
        workspace=own,
        event=event,
        **({"resource": resource, "resource_id": resource_id} | only(caller.session)),
        limit=limit,
        cursor=cursor,
    )
    return page_of(found, limit, rule_object)


@router.post(
    "/rules",
    status_code=201,
    response_model=CreatedRule,
    summary="Create a rule",
    responses=errors(400, 404, 409, 413),
    openapi_extra=body_of(RuleInput),
)
@embeddable(WORKSPACE, RESOURCE)
async def create_rule(request: Request, parts: ApiDependencies, organization: Organization) -> Any:
    """409: with it, one event could match more than 100 active rules."""
    given = await read_model(request, RuleInput)
    session = caller_of(request).session
    require_workspace(session, given.workspace)
    require_resource(session, given.resource, given.resource_id)
    await require_connection(parts.catalog, session, given.connection)
    await check_listed(parts.clients, parts.catalog, organization, given.connection, given.metadata)
    made = await parts.catalog.rules.create(
        organization,
        workspace=given.workspace,
        connection=given.connection,
        event=given.event,
        metadata=given.metadata,
        resource=given.resource,
        resource_id=given.resource_id,
        active=given.active is not False,
        hidden=given.hidden is True,
        created_by=caller_of(request).key,
    )
    request.state.said = {"rule_id": made.id}
    return JSONResponse({"rule": rule_object(made)}, status_code=201)


@router.get(
    "/rules/{rule_id}",
    response_model=Rule,
    summary="One rule",
    responses=errors(404),
)
@embeddable(WORKSPACE, RESOURCE)
async def get_rule(parts: ApiDependencies, organization: Organization, rule_id: PathId) -> Any:
    return rule_object(await parts.catalog.rules.get(organization, rule_id))


@router.patch(
    "/rules/{rule_id}",
    response_model=Rule,
    summary="Change a rule",
    responses=errors(400, 404, 409, 413),
    openapi_extra=body_of(ChangedRule),
)
@embeddable(WORKSPACE, RESOURCE)
async def update_rule(
    request: Request, parts: ApiDependencies, organization: Organization, rule_id: PathId
) -> Any:
    """Events that have already matched are delivered by the rule as it was."""
    given = await read_model(request, ChangedRule)
    change = RuleChange(**{name: value for name, value in given if name in given.model_fields_set})
    session = caller_of(request).session
    if session is not None and {"resource", "resource_id"} & given.model_fields_set:
        kept = await parts.catalog.rules.get(organization, rule_id)
        moved = {**rule_object(kept), **change.model_dump(exclude_unset=True)}
        require_resource(session, moved.get("resource"), moved.get("resource_id"))
    if given.metadata:
        rule = await parts.catalog.rules.get(organization, rule_id)
        await check_listed(
            parts.clients, parts.catalog, organization, rule.connection, given.metadata
        )
    return rule_object(await parts.catalog.rules.update(organization, rule_id, change))


@router.delete(
    "/rules/{rule_id}",
    response_model=DeletedRule,
    summary="Delete a rule",
    responses=errors(404),
)
@embeddable(WORKSPACE, RESOURCE)
async def delete_rule(parts: ApiDependencies, organization: Organization, rule_id: PathId) -> Any:
    """Events that have already matched are still delivered."""
    return deleted_rule_object(await parts.catalog.rules.delete(organization, rule_id))
