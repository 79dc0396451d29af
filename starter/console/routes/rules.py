"""Rules: create, change, switch on and off, delete. Each with its connection's mapping."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Depends
from starlette.responses import Response

from catalog.connections import Connection
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
from destinations.destination import NotListed, Option
from starter.api.embedding import only, require_connection
from starter.api.routing import embeddable, needs
from starter.console.mapping_form import ON_ERROR, TRANSFORMS, same
from starter.console.names import (
    ANSWER_SECONDS,
    all_connections,
    all_rules,
    if_answered,
    known_names,
    last_payload,
    written,
)
from starter.console.preview import Preview, preview
from starter.console.route import (
    InWorkspace,
    Visited,
    console_router,
    see_other,
)
from starter.console.rule_form import RuleForm
from starter.console.visit import Visit
from starter.console.words import sentence
from starter.known_destinations import destination_of
from starter.live_options import check_listed, live_options, mapping_fields
from starter.test_person import TEST_PERSON, about_test_person, sample_payload

router = console_router()

LAST_EVENT = "The last real event of this type, with the test person in place of its own."
NO_EVENT = (
    "There is no real event of this type yet, or it is too long for this box. This is a sample."
)


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


async def show_form(
    visit: Visit,
    form: RuleForm,
    rule: Rule | None,
    mapping: Mapping | None,
    *,
    status: int = 200,
    **context: Any,
) -> Response:
    """Show a rule, stored or not, with what its payload would send."""
    connections = await all_connections(visit)
    return await visit.page(
        "rules/form.html",
        status=status,
        rule=rule,
        connections=connections,
        connection=next((one for one in connections if one.id == form.connection), None),
        names=await known_names(visit),
        test_person=TEST_PERSON["email"],
        preview=await preview_of(visit, form, mapping, rule.id if rule else None),
        **await form_context(visit, form, rule.id if rule else None),
        **{"result": None, "test_fault": None} | context,
    )


async def read_form(visit: Visit, connection: str) -> tuple[RuleForm, Mapping | None]:
    """Read what is typed, and the connection's mapping. Raises `NotFound`.

    An embedded session for one resource chooses neither the resource nor the mapping.
    """
    await require_connection(visit.catalog, visit.embed, connection)
    to = await visit.catalog.connections.get(visit.organization, connection)
    form = RuleForm.read(visit.form, destination_of(to.type))
    mapping = await mapping_of(visit, to.id)
    form.connection = to.id
    if visit.embed is not None and visit.embed.only:
        form.resource, form.resource_id = visit.embed.only.values()
        form.take_mapping(mapping)
    return form, mapping


async def without_saving(visit: Visit, form: RuleForm, mapping: Mapping | None) -> bool:
    """Say whether a button asks for something other than saving, and change the form as it asks."""
    pressed = visit.form
    if pressed.text("of", form.connection) != form.connection:  # what is typed is another's
        form.take_mapping(mapping)
    elif "add_row" in pressed:
        form.free_rows += 1
    elif "load_payload" in pressed:
        await load_payload(visit, form, mapping)
    else:
        return False
    return True


async def load_payload(visit: Visit, form: RuleForm, mapping: Mapping | None) -> None:
    """Fill the box with the last real event of this type, about the test person; else a sample."""
    schema = mapping.schema if mapping else form.destination.default_mapping
    found = await if_answered(last_payload(visit, form.event))
    payload = sample_payload(schema) if found is None else about_test_person(found, schema)
    form.payload = written(payload)
    form.payload_note = NO_EVENT if found is None else LAST_EVENT


async def form_context(visit: Visit, form: RuleForm, rule: str | None) -> dict[str, Any]:
    """Return what the form shows; `sharing` are the other rules that use its mapping."""
    rules = await all_rules(visit)
    connection = await visit.catalog.connections.get(visit.organization, form.connection)
    (listed, unlisted), fields = await asyncio.gather(
        _listed(visit, form, connection),
        mapping_fields(visit.parts.clients, visit.catalog, connection, seconds=ANSWER_SECONDS),
    )
    shown = {row.dest for row in form.rows}
    return {
        "form": form,
        "listed": listed,
        "unlisted": unlisted,
        "fields": [one for one in fields if one.key not in shown],
        "rows": form.shown_rows(),
        "of": connection,
        "sharing": [one for one in rules if one.connection == form.connection and one.id != rule],
        "transforms": TRANSFORMS,
        "on_error": ON_ERROR,
    }


async def _listed(
    visit: Visit, form: RuleForm, connection: Connection
) -> tuple[dict[str, tuple[Option, ...]], str]:
    """What the action's fields can name, by kind; or none, and why."""
    try:
        return await live_options(
            visit.parts.clients, visit.catalog, connection, form.action, seconds=ANSWER_SECONDS
        ), ""
    except NotListed as err:
        return {}, sentence(f"can't be listed now: {err}")


async def preview_of(
    visit: Visit, form: RuleForm, mapping: Mapping | None, rule: str | None
) -> Preview:
    fleet = await visit.catalog.workers.fleet()
    return preview(
        form,
        form.schema(mapping),
        workspace=visit.workspace.id,
        rule=rule,
        build=fleet.newest_build,
    )


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


async def mapping_of(visit: Visit, connection: str) -> Mapping | None:
    return await visit.catalog.mappings.default(visit.organization, connection)


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
