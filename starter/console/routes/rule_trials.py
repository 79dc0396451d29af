"""Try a rule: its requests as it is typed, and a test event once it is stored."""

from __future__ import annotations

from starlette.responses import Response

from catalog.embed_sessions import RESOURCE, WORKSPACE
from catalog.mappings import Mapping
from catalog.rules import Rule
from catalog.scopes import OPERATE, READ
from delivery.errors import InvalidEvent
from emitonce import EmitError
from engine.links import run_url
from starter.api.errors import ApiError, not_found
from starter.api.routing import embeddable, needs
from starter.console.mapping_form import same
from starter.console.preview import read_payload
from starter.console.route import InWorkspace, Visited, console_router
from starter.console.routes.rules import RuleHere
from starter.console.rule_form import RuleForm
from starter.console.rule_page import form_context, preview_of, read_form, show_form, without_saving
from starter.console.visit import Visit
from starter.console.words import sentence
from starter.rule_trial import event_to_try, log_of_test, send_test_event

router = console_router()


@router.post("/w/{workspace_id}/rules/form/preview")
@needs(READ)
@embeddable(WORKSPACE, RESOURCE)
async def show_preview(visit: InWorkspace) -> Response:
    """Show what the form as it is typed would send."""
    form, mapping = await read_form(visit, visit.form.text("connection"))
    shown = await preview_of(visit, form, mapping, visit.form.text("rule") or None)
    return visit.part("rules/preview.html", preview=shown)


@router.post("/w/{workspace_id}/rules/form/{part}")
@needs(READ)
@embeddable(WORKSPACE, RESOURCE)
async def show_part(visit: InWorkspace, part: str) -> Response:
    """Show what another connection or action needs, another row, or the last real payload."""
    if part not in ("destination", "mapping", "payload"):
        raise not_found("part", "part of the form")
    form, mapping = await read_form(visit, visit.form.text("connection"))
    await without_saving(visit, form, mapping)
    shown = await form_context(visit, form, visit.form.text("rule") or None)
    response = visit.part(f"rules/{part}.html", **shown)
    if part == "payload":
        response.headers["HX-Trigger"] = "payload-loaded"
    return response


@router.post("/w/{workspace_id}/rules/{rule_id}/test")
@needs(OPERATE)
@embeddable(WORKSPACE, RESOURCE)
async def test_rule(visit: Visited, rule: RuleHere) -> Response:
    """Send it through the rule as it is stored, so changes have to be saved first."""
    form, mapping = await read_form(visit, rule.connection)
    result, fault = None, _unsaved(form, rule, mapping)
    if fault is None:
        try:
            result = await _tested(visit, rule, read_payload(form.payload))
        except InvalidEvent as err:
            fault = sentence(f"{err.field} {err.reason}")
        except ApiError as err:
            fault = sentence(err.message)
    if visit.in_place:
        return visit.part("rules/test_result.html", result=result, test_fault=fault)
    return await show_form(visit, form, rule, mapping, result=result, test_fault=fault)


def _unsaved(form: RuleForm, rule: Rule, mapping: Mapping | None) -> str | None:
    schema = form.schema(mapping)
    stored = RuleForm.of(rule, mapping)
    if schema is None:
        return "A row of the mapping can't be read. Correct it and save the rule first."
    in_force = mapping.schema if mapping else form.destination.default_mapping
    fields = ("event", "resource", "resource_id", "active")
    if (
        same(schema, in_force)
        and form.metadata() == stored.metadata()
        and all(getattr(form, name) == getattr(stored, name) for name in fields)
    ):
        return None
    return "The rule has changes that are not saved. Save it first, then send the test event."


async def _tested(visit: Visit, rule: Rule, payload: dict[str, object]) -> dict[str, object]:
    """Send it; return its log so far, and its address in Temporal's Web UI."""
    parts = visit.parts
    try:
        handle = await send_test_event(
            parts.event_starter(),
            rule,
            event_to_try(rule, payload),
            created_by=visit.session.actor,
        )
    except EmitError as err:
        raise ApiError(
            503, f"nothing was sent, because the event was not accepted: {err}"
        ) from None
    visit.request.state.said = {"event_id": handle.id, "workspace_id": rule.workspace}
    log = await log_of_test(parts.client, handle)
    url = run_url(parts.ui_url, parts.client, handle.id)
    return {"log": log, "finished": log.completed_at is not None, "url": url}
