"""A rule being typed: its requests live, and a test event through a stored one."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import Request
from starlette.responses import Response

from catalog.mappings import Mapping
from catalog.rules import Rule
from emitonce import EmitError
from engine.links import run_url
from eventlog.fetch import read_event_log
from starter.api.errors import ApiError
from starter.api.routes.rule_trials import TEST_SECONDS
from starter.console.mapping_form import ON_ERROR, TRANSFORMS, same
from starter.console.preview import UnreadablePayload, read_payload
from starter.console.route import (
    InWorkspace,
    console_router,
    dependencies_of,
    form_of,
    in_place,
    pages_of,
    session_of,
)
from starter.console.routes.rules import (
    RuleHere,
    read_form,
    sharing_of,
    show_form,
    shown_preview,
    without_saving,
)
from starter.console.rule_form import RuleForm
from starter.console.words import sentence

router = console_router()


@router.post("/w/{workspace_id}/rules/new/preview")
async def preview_new_rule(request: Request, workspace: InWorkspace) -> Response:
    return await _preview(request, None)


@router.post("/w/{workspace_id}/rules/{rule_id}/preview")
async def preview_rule(request: Request, rule: RuleHere) -> Response:
    return await _preview(request, rule)


@router.post("/w/{workspace_id}/rules/form/destination")
async def show_destination(request: Request, workspace: InWorkspace) -> Response:
    """What is asked for once another connection or action is chosen."""
    return await _part(request, "rules/destination.html")


@router.post("/w/{workspace_id}/rules/form/mapping")
async def show_mapping(request: Request, workspace: InWorkspace) -> Response:
    """The table with another row."""
    return await _part(request, "rules/mapping.html")


async def _part(request: Request, template: str) -> Response:
    form, mapping = await read_form(request, form_of(request).text("connection"))
    await without_saving(request, form, mapping)
    return pages_of(request).part(
        request,
        template,
        form=form,
        rows=form.shown_rows(),
        sharing=await sharing_of(request, form, form_of(request).text("rule") or None),
        transforms=TRANSFORMS,
        on_error=ON_ERROR,
    )


@router.post("/w/{workspace_id}/rules/form/payload")
async def show_payload(request: Request, workspace: InWorkspace) -> Response:
    form, mapping = await read_form(request, form_of(request).text("connection"))
    await without_saving(request, form, mapping)
    response = pages_of(request).part(request, "rules/payload.html", form=form)
    response.headers["HX-Trigger"] = "payload-loaded"
    return response


@router.post("/w/{workspace_id}/rules/{rule_id}/test")
async def send_test_event(request: Request, rule: RuleHere) -> Response:
    """By the rule as it is stored, so what is typed but not saved has to be saved first."""
    form, mapping = await read_form(request, rule.connection)
    result, fault = None, _unsaved(form, rule, mapping)
    if fault is None:
        try:
            result = await _tested(request, rule, read_payload(form.payload))
        except UnreadablePayload as err:
            fault = sentence(str(err))
        except ApiError as err:
            fault = sentence(err.message)
    if in_place(request):
        return pages_of(request).part(
            request, "rules/test_result.html", result=result, test_fault=fault
        )
    return await show_form(request, form, rule, mapping, result=result, test_fault=fault)


async def _preview(request: Request, rule: Rule | None) -> Response:
    connection = rule.connection if rule else form_of(request).text("connection")
    form, mapping = await read_form(request, connection)
    return pages_of(request).part(
        request,
        "rules/preview.html",
        preview=await shown_preview(request, form, rule, form.schema(mapping)),
    )


def _unsaved(form: RuleForm, rule: Rule, mapping: Mapping | None) -> str | None:
    schema = form.schema(mapping)
    stored = RuleForm.of(rule, mapping, form.payload)
    if schema is None:
        return "A row of the mapping can't be read. Put it right and save the rule first."
    in_force = mapping.schema if mapping else form.destination.default_mapping
    fields = ("event", "resource", "resource_id", "active")
    if (
        same(schema, in_force)
        and form.metadata() == stored.metadata()
        and all(getattr(form, name) == getattr(stored, name) for name in fields)
    ):
        return None
    return "The rule has changes that are not saved. Save it first, then send the test event."


async def _tested(request: Request, rule: Rule, payload: dict[str, object]) -> dict[str, object]:
    """The test event's log as far as it has come, and where Temporal shows it, for the page."""
    parts = dependencies_of(request)
    try:
        handle = await parts.event_starter().start(
            rule.workspace,
            rule.event,
            payload,
            resource=rule.resource or "global",
            resource_id=rule.resource_id,
            only_rules=[rule.id],
            test=True,
            created_by=session_of(request).key,
        )
    except EmitError as err:
        raise ApiError(503, f"nothing was sent, since the event was not accepted: {err}") from None
    request.state.said = {"event_id": handle.id, "workspace_id": rule.workspace}
    with contextlib.suppress(TimeoutError, EmitError):  # how it ended is in the log
        async with asyncio.timeout(TEST_SECONDS):
            await handle.result()
    log = await read_event_log(parts.client, handle.id)
    url = run_url(parts.ui_url, parts.client, handle.id)
    return {"log": log, "finished": log.completed_at is not None, "url": url}
