"""Steering: the next attempt now, no further one, or what failed once more."""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.responses import Response

from operations.redelivery import redeliver
from operations.redelivery_plan import NotRedeliverable
from operations.steering import (
    AlreadyEnded,
    AttemptImminent,
    Held,
    bring_forward,
    cancel_delivery,
    cancel_event,
)
from starter.api.reading import OwnEvent
from starter.console.route import console_router, pages_of, parts_of, see_other
from starter.console.routes.events import EventHere, event_context, event_of
from starter.console.words import sentence

router = console_router()

# A worker takes a cancellation at once, or after the request in flight: 10 seconds at most.
CANCEL_SECONDS = 12.0


@router.post("/w/{workspace_id}/events/{event_id}/deliveries/{rule_id}/retry")
async def retry_delivery(request: Request, own: EventHere, rule_id: str) -> Response:
    """Bring the next attempt forward, or deliver again what has failed."""
    delivery = own.delivery(rule_id)
    parts = parts_of(request)
    try:
        if own.open:
            await bring_forward(
                parts.client, own.log.event_id, delivery.rule, task_queue=parts.task_queue
            )
        else:
            await redeliver(parts.client, own.log.event_id, rules=[delivery.rule])
    except (AttemptImminent, AlreadyEnded, Held, NotRedeliverable) as err:
        return await _refused(request, own, err)
    return see_other(_path(own), "retry" if own.open else "again")


@router.post("/w/{workspace_id}/events/{event_id}/deliveries/{rule_id}/cancel")
async def cancel_one(request: Request, own: EventHere, rule_id: str) -> Response:
    delivery = own.delivery(rule_id)
    try:
        async with asyncio.timeout(CANCEL_SECONDS):
            await cancel_delivery(parts_of(request).client, own.log.event_id, delivery.rule)
    except AlreadyEnded as err:
        return await _refused(request, own, err)
    return see_other(_path(own), "canceled")


@router.post("/w/{workspace_id}/events/{event_id}/cancel")
async def cancel_all(request: Request, own: EventHere) -> Response:
    try:
        await cancel_event(parts_of(request).client, own.log.event_id)
    except AlreadyEnded as err:
        return await _refused(request, own, err)
    return see_other(_path(own), "canceling")


@router.post("/w/{workspace_id}/events/{event_id}/redeliver")
async def redeliver_event(request: Request, own: EventHere) -> Response:
    """All of its deliveries that have failed."""
    try:
        await redeliver(parts_of(request).client, own.log.event_id)
    except NotRedeliverable as err:
        return await _refused(request, own, err)
    return see_other(_path(own), "again")


async def _refused(request: Request, own: OwnEvent, error: Exception) -> Response:
    """The event as it stands now, which says why."""
    now = await event_of(request, request.state.workspace, own.log.event_id)
    return await pages_of(request).page(
        request,
        "events/one.html",
        status=425 if isinstance(error, AttemptImminent) else 409,
        **await event_context(request, now),
        refused=sentence(str(error)),
    )


def _path(own: OwnEvent) -> str:
    return f"/w/{own.log.workspace}/events/{own.log.event_id}"
