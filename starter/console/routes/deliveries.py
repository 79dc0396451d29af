"""Steering: the next attempt now, no further one, or what failed once more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

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
from starter.console.route import console_router, dependencies_of, pages_of, see_other
from starter.console.routes.events import EventHere, event_context, event_of
from starter.console.words import sentence

router = console_router()

# A worker takes a cancellation at once, or after the request in flight: 10 seconds at most.
CANCEL_SECONDS = 12.0


@router.post("/w/{workspace_id}/events/{event_id}/deliveries/{rule_id}/retry")
async def retry_delivery(request: Request, own: EventHere, rule_id: str) -> Response:
    """Bring the next attempt forward, or deliver again what has failed."""
    rule, parts = own.delivery(rule_id).rule, dependencies_of(request)
    event = own.log.event_id
    if own.open:
        steering = bring_forward(parts.client, event, rule, task_queue=parts.task_queue)
        return await _steered(request, own, steering, "retry")
    return await _steered(request, own, redeliver(parts.client, event, rules=[rule]), "again")


@router.post("/w/{workspace_id}/events/{event_id}/deliveries/{rule_id}/cancel")
async def cancel_one(request: Request, own: EventHere, rule_id: str) -> Response:
    rule = own.delivery(rule_id).rule
    steering = cancel_delivery(dependencies_of(request).client, own.log.event_id, rule)
    return await _steered(request, own, asyncio.wait_for(steering, CANCEL_SECONDS), "canceled")


@router.post("/w/{workspace_id}/events/{event_id}/cancel")
async def cancel_all(request: Request, own: EventHere) -> Response:
    steering = cancel_event(dependencies_of(request).client, own.log.event_id)
    return await _steered(request, own, steering, "canceling")


@router.post("/w/{workspace_id}/events/{event_id}/redeliver")
async def redeliver_event(request: Request, own: EventHere) -> Response:
    """All of its deliveries that have failed."""
    steering = redeliver(dependencies_of(request).client, own.log.event_id)
    return await _steered(request, own, steering, "again")


async def _steered(
    request: Request, own: OwnEvent, steering: Awaitable[object], done: str
) -> Response:
    """Back to the event; one that refuses is shown as it stands now, with the reason."""
    try:
        await steering
    except (AttemptImminent, AlreadyEnded, Held, NotRedeliverable) as err:
        now = await event_of(request, request.state.workspace, own.log.event_id)
        return await pages_of(request).page(
            request,
            "events/one.html",
            status=425 if isinstance(err, AttemptImminent) else 409,
            **await event_context(request, now),
            refused=sentence(str(err)),
        )
    return see_other(f"/w/{own.log.workspace}/events/{own.log.event_id}", done)
