"""Rules: create, change, switch on and off, delete. Each with its connection's mapping."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.responses import Response

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
from destinations.registry import BY_TYPE
from starter.api.routes.rule_trials import SAMPLE_PAYLOAD
from starter.console.mapping_form import ON_ERROR, TRANSFORMS, same
from starter.console.names import (
    all_connections,
    all_rules,
    if_answered,
    known_names,
    last_payload,
)
from starter.console.preview import Preview, preview, written
from starter.console.route import (
    InWorkspace,
    console_router,
    dependencies_of,
    form_of,
    pages_of,
    see_other,
    session_of,
)
from starter.console.rule_form import RuleForm

router = console_router()

LAST_EVENT = "From the last real event of this type."
NO_EVENT = "No real event of this type is there, or it is too long for this box: this is a sample."


async def rule_of(request: Request, workspace: InWorkspace, rule_id: str) -> Rule:
    rule = await dependencies_of(request).catalog.rules.get(
        session_of(request).organisation, rule_id
    )
    if rule.workspace != workspace.id:
        raise NotFound("rule", rule_id)
    return rule


# The rule that a page's address names.
RuleHere = Annotated[Rule, Depends(rule_of)]


@router.get("/w/{workspace_id}/rules")
async def list_rules(request: Request, workspace: InWorkspace) -> Response:
    catalog, organisation = dependencies_of(request).catalog, session_of(request).organisation
    found = await catalog.rules.list(
        organisation, workspace=workspace.id, cursor=request.query_params.get("cursor")
    )
    connections = await all_connections(catalog, organisation, workspace.id)
    return await pages_of(request).page(
        request,
        "rules/list.html",
        records=found.records,
        next_cursor=found.next_cursor,
        connections={connection.id: connection for connection in connections},
    )


@router.get("/w/{workspace_id}/rules/new")
async def new_rule(request: Request, workspace: InWorkspace) -> Response:
    parts, asked = dependencies_of(request), request.query_params
    connections = await all_connections(
        parts.catalog, session_of(request).organisation, workspace.id
    )
    if not connections:
        return await pages_of(request).page(request, "rules/no_connection.html")
    event = asked.get("event", "")
    payload = await if_answered(last_payload(parts, workspace.id, event)) or SAMPLE_PAYLOAD
    to = next((one for one in connections if one.id == asked.get("connection")), connections[0])
    form = RuleForm(BY_TYPE[to.type], event=event, connection=to.id, payload=written(payload))
    mapping = await mapping_of(request, form.connection)
    form.take_mapping(mapping)
    return await show_form(request, form, None, mapping)


@router.post("/w/{workspace_id}/rules")
async def create_rule(request: Request, workspace: InWorkspace) -> Response:
    return await _save(request, None, form_of(request).text("connection"))


@router.get("/w/{workspace_id}/rules/{rule_id}")
async def show_rule(request: Request, rule: RuleHere) -> Response:
    parts = dependencies_of(request)
    last = await if_answered(last_payload(parts, rule.workspace, rule.event))
    payload = last or SAMPLE_PAYLOAD
    mapping = await mapping_of(request, rule.connection)
    return await show_form(request, RuleForm.of(rule, mapping, written(payload)), rule, mapping)


@router.post("/w/{workspace_id}/rules/{rule_id}")
async def update_rule(request: Request, rule: RuleHere) -> Response:
    return await _save(request, rule, rule.connection)


@router.post("/w/{workspace_id}/rules/{rule_id}/switch")
async def switch_rule(request: Request, rule: RuleHere) -> Response:
    on = form_of(request).text("active") == "on"
    await dependencies_of(request).catalog.rules.set_active(
        session_of(request).organisation, rule.id, on
    )
    return see_other(f"/w/{rule.workspace}/rules", "rule-on" if on else "rule-off")


@router.post("/w/{workspace_id}/rules/{rule_id}/delete")
async def delete_rule(request: Request, rule: RuleHere) -> Response:
    await dependencies_of(request).catalog.rules.delete(session_of(request).organisation, rule.id)
    return see_other(f"/w/{rule.workspace}/rules", "rule-gone")


async def show_form(
    request: Request,
    form: RuleForm,
    rule: Rule | None,
    mapping: Mapping | None,
    *,
    status: int = 200,
    **context: Any,
) -> Response:
    """The page of a rule, stored or not yet, with what its payload would send."""
    parts, organisation = dependencies_of(request), session_of(request).organisation
    workspace = request.state.workspace
    connections = await all_connections(parts.catalog, organisation, workspace.id)
    schema = form.schema(mapping)
    return await pages_of(request).page(
        request,
        "rules/form.html",
        status=status,
        form=form,
        rule=rule,
        rows=form.shown_rows(),
        connections=connections,
        connection=next((one for one in connections if one.id == form.connection), None),
        sharing=await sharing_of(request, form, rule.id if rule else None),
        names=await known_names(parts, organisation, workspace.id),
        preview=await shown_preview(request, form, rule, schema),
        transforms=TRANSFORMS,
        on_error=ON_ERROR,
        **{"result": None, "test_fault": None} | context,
    )


async def read_form(request: Request, connection: str) -> tuple[RuleForm, Mapping | None]:
    """What is typed, for a connection and its mapping. Raises `NotFound`."""
    to = await dependencies_of(request).catalog.connections.get(
        session_of(request).organisation, connection
    )
    form = RuleForm.read(form_of(request), BY_TYPE[to.type])
    form.connection = to.id
    return form, await mapping_of(request, to.id)


async def without_saving(request: Request, form: RuleForm, mapping: Mapping | None) -> bool:
    """Whether a button asks for something else than to save; the form is then as it wants it."""
    pressed = form_of(request)
    if pressed.text("of", form.connection) != form.connection:  # what is typed is another's
        form.take_mapping(mapping)
    elif pressed.has("add_row"):
        form.free_rows += 1
    elif pressed.has("load_payload"):
        workspace = request.state.workspace
        found = await last_payload(dependencies_of(request), workspace.id, form.event)
        form.payload = written(found or SAMPLE_PAYLOAD)
        form.payload_note = NO_EVENT if found is None else LAST_EVENT
    else:
        return False
    return True


async def shown_preview(
    request: Request, form: RuleForm, rule: Rule | None, schema: Any
) -> Preview:
    fleet = await dependencies_of(request).catalog.workers.fleet()
    return preview(
        form,
        schema,
        workspace=request.state.workspace.id,
        rule=rule.id if rule else None,
        build=fleet.newest_build,
    )


async def sharing_of(request: Request, form: RuleForm, rule: str | None) -> int:
    """How many other rules are delivered by the mapping that the form shows."""
    rules = await all_rules(
        dependencies_of(request).catalog,
        session_of(request).organisation,
        request.state.workspace.id,
    )
    return sum(one.connection == form.connection and one.id != rule for one in rules)


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


async def _save(request: Request, rule: Rule | None, connection: str) -> Response:
    """Create the rule, or change it, unless another button than that to save was pressed."""
    form, mapping = await read_form(request, connection)
    if await without_saving(request, form, mapping):
        return await show_form(request, form, rule, mapping)
    if not await _store_mapping(request, form, mapping):
        return await show_form(request, form, rule, mapping, status=400)
    try:
        saved = await _store_rule(request, form, rule)
    except (InvalidValue, TooManyRules, OlderRelease) as err:
        form.faults |= faults_of(err, form)
        return await show_form(request, form, rule, mapping, status=400)
    return see_other(f"/w/{saved.workspace}/rules/{saved.id}", "changed" if rule else "rule")


async def _store_rule(request: Request, form: RuleForm, rule: Rule | None) -> Rule:
    rules, session = dependencies_of(request).catalog.rules, session_of(request)
    typed: dict[str, Any] = {
        "event": form.event,
        "resource": form.resource or None,
        "resource_id": form.resource_id or None,
        "active": form.active,
    }
    if rule is not None:
        change = RuleChange(metadata=form.metadata(rule.metadata), **typed)
        return await rules.update(session.organisation, rule.id, change)
    return await rules.create(
        session.organisation,
        workspace=request.state.workspace.id,
        connection=form.connection,
        metadata=form.metadata(),
        created_by=session.key,
        **typed,
    )


async def mapping_of(request: Request, connection: str) -> Mapping | None:
    return await dependencies_of(request).catalog.mappings.default(
        session_of(request).organisation, connection
    )


async def _store_mapping(request: Request, form: RuleForm, stored: Mapping | None) -> bool:
    """Store it when it differs; False when it can't be, and the form says why."""
    schema = form.schema(stored)
    if schema is None:
        form.faults["mapping"] = "A row can't be read: see below."
        return False
    if same(schema, stored.schema if stored else form.destination.default_mapping):
        return True
    session = session_of(request)
    try:
        await dependencies_of(request).catalog.mappings.put_default(
            session.organisation,
            form.connection,
            schema=schema,
            expected_version=form.mapping_version,
            created_by=session.key,
        )
    except VersionConflict:
        form.faults["mapping"] = (
            "Somebody has changed this connection's mapping meanwhile, so nothing was saved. "
            "Open the rule again and repeat your change."
        )
        return False
    except (InvalidValue, Conflict) as err:
        form.faults["mapping"] = f"{err}."
        return False
    return True
