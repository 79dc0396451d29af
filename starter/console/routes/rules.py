"""Rules: create, change, switch on and off, delete. Each with its connection's mapping."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends
from starlette.responses import Response

from catalog.embed_sessions import RESOURCE, WORKSPACE
from catalog.errors import (
    Conflict,
    InvalidValue,
    NotFound,
    OlderRelease,
    TooManyRules,
    VersionConflict,
)
from catalog.mappings import Mapping
from catalog.rule_change import RuleChange
from catalog.rules import Rule
from catalog.scopes import MANAGE
from starter.api.embedding import only
from starter.api.routing import embeddable, needs
from starter.console.mapping_form import same
from starter.console.names import all_connections
from starter.console.route import InWorkspace, Visited, console_router, see_other
from starter.console.rule_form import RuleForm
from starter.console.rule_page import load_payload, mapping_of, read_form, show_form, without_saving
from starter.console.visit import Visit
from starter.known_destinations import destination_of
from starter.live_options import check_listed

router = console_router()


async def rule_of(visit: InWorkspace, rule_id: str) -> Rule:
    rule = await visit.catalog.rules.get(visit.organization, rule_id)
    if rule.workspace != visit.workspace.id:
        raise NotFound("rule", rule_id)
    return rule


# The rule that a page's address names.
RuleHere = Annotated[Rule, Depends(rule_of)]


@router.get("/w/{workspace_id}/rules")
@embeddable(WORKSPACE, RESOURCE)
async def list_rules(visit: InWorkspace) -> Response:
    catalog, organization = visit.catalog, visit.organization
    found = await catalog.rules.list(
        organization,
        workspace=visit.workspace.id,
        cursor=visit.query.get("cursor"),
        **only(visit.embed),
    )
    connections = await all_connections(visit)
    return await visit.page(
        "rules/list.html",
        records=found.records,
        next_cursor=found.next_cursor,
        connections={connection.id: connection for connection in connections},
    )


@router.get("/w/{workspace_id}/rules/new")
@needs(MANAGE)
@embeddable(WORKSPACE, RESOURCE)
async def new_rule(visit: InWorkspace) -> Response:
    connections = await all_connections(visit)
    if not connections:
        return await visit.page("rules/no_connection.html")
    event, chosen = visit.query.get("event", ""), visit.query.get("connection")
    to = next((one for one in connections if one.id == chosen), connections[0])
    form = RuleForm(destination_of(to.type), event=event, connection=to.id, **only(visit.embed))
    mapping = await mapping_of(visit, form.connection)
    form.take_mapping(mapping)
    await load_payload(visit, form, mapping)
    return await show_form(visit, form, None, mapping)


@router.post("/w/{workspace_id}/rules")
@embeddable(WORKSPACE, RESOURCE)
async def create_rule(visit: InWorkspace) -> Response:
    return await _save(visit, None, visit.form.text("connection"))


@router.get("/w/{workspace_id}/rules/{rule_id}")
@embeddable(WORKSPACE, RESOURCE)
async def show_rule(visit: Visited, rule: RuleHere) -> Response:
    mapping = await mapping_of(visit, rule.connection)
    form = RuleForm.of(rule, mapping)
    await load_payload(visit, form, mapping)
    return await show_form(visit, form, rule, mapping)


@router.post("/w/{workspace_id}/rules/{rule_id}")
@embeddable(WORKSPACE, RESOURCE)
async def update_rule(visit: Visited, rule: RuleHere) -> Response:
    return await _save(visit, rule, rule.connection)


@router.post("/w/{workspace_id}/rules/{rule_id}/switch")
@embeddable(WORKSPACE, RESOURCE)
async def switch_rule(visit: Visited, rule: RuleHere) -> Response:
    on = visit.form.text("active") == "on"
    await visit.catalog.rules.set_active(visit.organization, rule.id, on)
    return see_other(f"/w/{rule.workspace}/rules", "rule-on" if on else "rule-off")


@router.post("/w/{workspace_id}/rules/{rule_id}/delete")
@embeddable(WORKSPACE, RESOURCE)
async def delete_rule(visit: Visited, rule: RuleHere) -> Response:
    await visit.catalog.rules.delete(visit.organization, rule.id)
    return see_other(f"/w/{rule.workspace}/rules", "rule-gone")


def faults_of(error: InvalidValue | TooManyRules | OlderRelease, form: RuleForm) -> dict[str, str]:
    if isinstance(error, OlderRelease):
        return {"accept": f"{error}."}
    if isinstance(error, TooManyRules):
        return {"event": f"{error}."}
    key = error.field.removeprefix("metadata.")
    of_action = {one.key for one in (*form.action.inputs, *form.action.options)}
    name = f"i.{key}" if key in of_action else key
    known = name != key or key in ("event", "resource", "resource_id", "accept")
    return {name if known else "form": f"It {error.problem}."}


async def _save(visit: Visit, rule: Rule | None, connection: str) -> Response:
    """Create or change the rule, unless a button other than Save was pressed."""
    form, mapping = await read_form(visit, connection)
    if await without_saving(visit, form, mapping):
        return await show_form(visit, form, rule, mapping)
    if not await _store_mapping(visit, form, mapping):
        return await show_form(visit, form, rule, mapping, status=400)
    try:
        saved = await _store_rule(visit, form, rule)
    except (InvalidValue, TooManyRules, OlderRelease) as err:
        form.faults |= faults_of(err, form)
        return await show_form(visit, form, rule, mapping, status=400)
    visit.request.state.said = {"rule_id": saved.id}
    return see_other(f"/w/{saved.workspace}/rules/{saved.id}", "changed" if rule else "rule")


async def _store_rule(visit: Visit, form: RuleForm, rule: Rule | None) -> Rule:
    rules, session = visit.catalog.rules, visit.session
    metadata = form.metadata(rule.metadata if rule else None)
    await check_listed(
        visit.parts.clients, visit.catalog, session.organization, form.connection, metadata
    )
    typed: dict[str, Any] = {
        "event": form.event,
        "resource": form.resource or None,
        "resource_id": form.resource_id or None,
        "active": form.active,
    }
    if rule is not None:
        change = RuleChange(metadata=metadata, **typed)
        return await rules.update(session.organization, rule.id, change)
    return await rules.create(
        session.organization,
        workspace=visit.workspace.id,
        connection=form.connection,
        metadata=metadata,
        created_by=session.actor,
        **typed,
    )


async def _store_mapping(visit: Visit, form: RuleForm, stored: Mapping | None) -> bool:
    """Store it if it differs. If it can't be stored, return False; the form says why."""
    schema = form.schema(stored)
    if schema is None:
        form.faults["mapping"] = "A row can't be read. See below."
        return False
    if same(schema, stored.schema if stored else form.destination.default_mapping):
        return True
    session = visit.session
    try:
        await visit.catalog.mappings.put_default(
            session.organization,
            form.connection,
            schema=schema,
            expected_version=form.mapping_version,
            created_by=session.actor,
        )
    except VersionConflict:
        form.faults["mapping"] = (
            "Someone else has changed this connection's mapping, so nothing was saved. "
            "Open the rule again and repeat your change."
        )
        return False
    except (InvalidValue, Conflict) as err:
        form.faults["mapping"] = f"{err}."
        return False
    return True
