"""Try a rule: show its requests without sending them, or send a test event through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from catalog.embed_sessions import RESOURCE, WORKSPACE
from catalog.rules import Rule
from catalog.scopes import OPERATE, READ
from delivery.delivery_log import CallLog
from delivery.errors import MappingError
from delivery.event import Event
from eventlog.log import EventLog
from starter.api.bodies import read_model
from starter.api.describing import body_of, errors
from starter.api.embedding import require_resource
from starter.api.queries import PathId
from starter.api.routing import (
    ApiDependencies,
    Organization,
    caller_of,
    embeddable,
    management_router,
    needs,
)
from starter.api.schemas.events import Preview, TestResult
from starter.api.schemas.rules import RuleTrial
from starter.json_objects import present, response_object, rule_event_object
from starter.rule_trial import event_to_try, log_of_test, preview, send_test_event, stored_rule
from starter.test_person import SAMPLE_PAYLOAD

router = management_router("Rules")


@router.post(
    "/rules/{rule_id}/test",
    response_model=TestResult,
    summary="Send a test event through this rule only",
    responses=errors(400, 404, 413),
    openapi_extra=body_of(RuleTrial, required=False),
)
@needs(OPERATE)
@embeddable(WORKSPACE, RESOURCE)
async def test_rule(
    request: Request, parts: ApiDependencies, organization: Organization, rule_id: PathId
) -> Any:
    """Sends it for real, with one attempt per call, and waits up to 30 seconds for its end.

    The destination really receives it. Without a payload it is about `emitonce-test`, a test person
    with the address `emitonce-test@example.com`.
    An inactive rule can be tested too. Test events are left out of lists.
    """
    rule = await parts.catalog.rules.get(organization, rule_id)
    given = await read_model(request, RuleTrial)
    event = _event(rule, given)
    require_resource(caller_of(request).session, event.resource, event.resource_id)
    handle = await send_test_event(
        parts.event_starter(),
        rule,
        event,
        created_by=caller_of(request).key,
        timestamp=given.timestamp,
    )
    request.state.said = {"event_id": handle.id, "workspace_id": rule.workspace}
    return _test_result(await log_of_test(parts.client, handle))


@router.post(
    "/rules/{rule_id}/preview",
    response_model=Preview,
    summary="The requests that an event would make, without sending them",
    responses=errors(400, 404, 413),
    openapi_extra=body_of(RuleTrial, required=False),
)
@needs(READ)
@embeddable(WORKSPACE, RESOURCE)
async def preview_rule(
    request: Request, parts: ApiDependencies, organization: Organization, rule_id: PathId
) -> Any:
    rule = await parts.catalog.rules.get(organization, rule_id)
    event = _event(rule, await read_model(request, RuleTrial))
    matched = await stored_rule(parts.catalog, rule)
    shown: dict[str, Any] = {
        "matches": rule.active
        and rule.event == event.event
        and rule.resource in (None, event.resource)
        and rule.resource_id in (None, event.resource_id),
        "identify": None,
        "track": None,
        "warnings": [],
    }
    try:
        messages = preview(event, matched)
    except MappingError as err:
        return {**shown, "error": f"mapping_error: {err}"}
    return {
        **shown,
        **{message.call: message.body for message in messages.messages},
        "warnings": list(messages.warnings),
    }


def _event(rule: Rule, given: RuleTrial) -> Event:
    return event_to_try(
        rule,
        given.payload if given.payload is not None else SAMPLE_PAYLOAD,
        event=given.event,
        resource=given.resource,
        resource_id=given.resource_id,
        timestamp=given.timestamp,
    )


def _test_result(log: EventLog) -> Mapping[str, Any]:
    delivery = log.deliveries[0] if log.deliveries else None
    error = (delivery.last_error if delivery else None) or log.error
    return {
        "event_id": log.event_id,
        "status": log.status,
        "finished": log.completed_at is not None,
        "rule_event": rule_event_object(log, delivery) if delivery else None,
        "identify": None,
        "track": None,
        **({call.call: _exchange(call) for call in delivery.calls} if delivery else {}),
        **present(error=error),
    }


def _exchange(call: CallLog) -> Mapping[str, Any]:
    last = call.attempts[-1] if call.attempts else None
    return {
        "request": call.request,
        "response": response_object(last),
        "outcome_code": last.outcome_code if last else None,
        "message": last.message if last else None,
        "duration_ms": last.duration_ms if last else None,
    }
