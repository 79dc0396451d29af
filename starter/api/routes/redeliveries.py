"""Deliver many events again: plan, start, watch, cancel."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse

from catalog.scopes import OPERATE
from delivery.selection import Mode, select
from operations.bulk_redelivery import cancel_redelivery as cancel_in_engine
from operations.bulk_redelivery import plan_redelivery, start_redelivery
from starter.api.bodies import read_model
from starter.api.describing import body_of, errors
from starter.api.errors import bad_request
from starter.api.queries import PathId
from starter.api.routing import ApiDependencies, Organization, management_router, needs
from starter.api.schemas.redeliveries import RedeliveryInput, RedeliveryPlanView, RedeliveryView
from starter.redelivery_objects import own_redelivery, plan_object, status_object, within

router = management_router("Redeliveries")


@router.post(
    "/redeliveries",
    status_code=202,
    response_model=RedeliveryView,
    summary="Deliver many events again, or plan to",
    responses={
        **errors(400, 404, 409, 413),
        200: {"model": RedeliveryPlanView, "description": "The plan, with `dry_run`"},
    },
    openapi_extra=body_of(RedeliveryInput),
)
@needs(OPERATE)
async def create_redelivery(
    request: Request, parts: ApiDependencies, organization: Organization
) -> Any:
    """What was delivered is not sent again unless `mode` asks for it.

    The same selection, with its `as_of`, is started only once, however often it is sent; a
    canceled redelivery continues. 409: no event is selected.
    """
    given = await read_model(request, RedeliveryInput)
    asked_for = select(
        given.workspace,
        accepted_from=given.accepted_from,
        accepted_to=given.accepted_to,
        as_of=given.as_of,
        now=datetime.now(UTC),
        connection=given.connection,
        rule=given.rule,
        event=given.event,
        mode=Mode(given.mode),
        reason=given.reason,
    )
    selection = await within(parts.catalog, organization, asked_for)
    plan = await plan_redelivery(parts.client, selection)
    if given.dry_run:
        return JSONResponse(plan_object(plan))
    if selection.mode.sends_delivered_ones and not given.campaigns_may_start:
        raise bad_request(
            "campaigns_may_start",
            f"must be true for mode {selection.mode}: destinations treat these as new calls, so "
            "campaigns may start again",
        )
    status = await start_redelivery(
        parts.client, plan, task_queue=parts.task_queue, per_second=given.per_second
    )
    request.state.said = {"redelivery_id": status.id}
    return JSONResponse(status_object(status), status_code=202)


@router.get(
    "/redeliveries/{redelivery_id}",
    response_model=RedeliveryView,
    summary="How far a redelivery has come",
    responses=errors(404),
)
async def get_redelivery(
    parts: ApiDependencies, organization: Organization, redelivery_id: PathId
) -> Any:
    own = await own_redelivery(parts.client, parts.catalog, organization, redelivery_id)
    return status_object(own)


@router.post(
    "/redeliveries/{redelivery_id}/cancel",
    response_model=RedeliveryView,
    summary="Start no more events",
    responses=errors(404),
)
@needs(OPERATE)
async def cancel_redelivery(
    parts: ApiDependencies, organization: Organization, redelivery_id: PathId
) -> Any:
    """What was started is delivered. A redelivery that has ended is shown as it is."""
    own = await own_redelivery(parts.client, parts.catalog, organization, redelivery_id)
    return status_object(await cancel_in_engine(parts.client, own.id))
