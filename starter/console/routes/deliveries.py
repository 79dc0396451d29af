"""Deliveries: make the next attempt now, cancel, or deliver again what failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from starlette.responses import Response

from catalog.embed_sessions import RESOURCE, WORKSPACE
from catalog.scopes import OPERATE
from delivery.result import Status
from operations.event_redelivery import redeliver
from operations.redelivery_plan import NotRedeliverable
from operations.steering import AlreadyEnded, AttemptImminent, Held
from operations.steering import cancel_delivery as cancel_delivery_in_engine
from operations.steering import cancel_event as cancel_event_in_engine
from starter.api.reading import OwnEvent
from starter.api.retrying import retry
from starter.api.routing import embeddable, needs
from starter.console.route import InWorkspace, console_router, see_other
from starter.console.routes.events import ON_A_PAGE, EventHere, event_context, event_of
from starter.console.visit import Visit
from starter.console.words import sentence

router = console_router()

# A worker cancels at once, or after the request in flight, which takes 10 seconds at most.
CANCEL_SECONDS = 12.0


@router.post("/w/{workspace_id}/events/{event_id}/deliveries/{rule_id}/retry")
@needs(OPERATE)
@embeddable(WORKSPACE, RESOURCE)
async def retry_delivery(visit: InWorkspace, own: EventHere, rule_id: str) -> Response:
    """Bring the next attempt forward, or deliver again what has failed."""
    steering = retry(visit.parts, visit.caller, own, own.delivery(rule_id).rule)
    return await _steered(visit, own, steering, "retry" if own.open else "again")


@router.post("/w/{workspace_id}/events/{event_id}/deliveries/{rule_id}/cancel")
@needs(OPERATE)
@embeddable(WORKSPACE, RESOURCE)
async def cancel_delivery(visit: InWorkspace, own: EventHere, rule_id: str) -> Response:
    rule = own.delivery(rule_id).rule
    steering = cancel_delivery_in_engine(visit.parts.client, own.log.event_id, rule)
    return await _steered(visit, own, asyncio.wait_for(steering, CANCEL_SECONDS), "canceled")


@router.post("/w/{workspace_id}/events/{event_id}/cancel")
@needs(OPERATE)
@embeddable(WORKSPACE)
async def cancel_event(visit: InWorkspace, own: EventHere) -> Response:
    steering = cancel_event_in_engine(visit.parts.client, own.log.event_id)
    return await _steered(visit, own, steering, "canceling")


@router.post("/w/{workspace_id}/events/redeliver")
@needs(OPERATE)
@embeddable(WORKSPACE)
async def redeliver_ticked_events(visit: InWorkspace) -> Response:
    """Deliver again whatever failed of the events that were selected in a list."""
    ticked = [name.removeprefix("e.") for name in visit.form if name.startswith("e.")][:ON_A_PAGE]
    refused: dict[str, str] = {}
    made = visit.request.state.said = {}
    for number, event_id in enumerate(ticked, 1):
        own = await event_of(visit, event_id)
        try:
            await redeliver(visit.parts.client, own.log.event_id)
            made[f"event_{number}"] = own.log.event_id
        except NotRedeliverable as err:
            refused[own.log.event_id] = str(err)
    if not refused:
        return see_other(f"/w/{visit.workspace.id}/events", "ticked" if ticked else None)
    sent = len(ticked) - len(refused)
    return await visit.page("events/redelivered.html", status=409, sent=sent, refused=refused)


@router.post("/w/{workspace_id}/events/{event_id}/redeliver")
@needs(OPERATE)
@embeddable(WORKSPACE, RESOURCE)
async def redeliver_event(visit: InWorkspace, own: EventHere) -> Response:
    """Deliver again whatever failed, of what is shown."""
    failed = [one.rule for one in own.log.deliveries if one.status is Status.FAILED]
    steering = redeliver(visit.parts.client, own.log.event_id, rules=failed)
    return await _steered(visit, own, steering, "again")


async def _steered(visit: Visit, own: OwnEvent, steering: Awaitable[object], done: str) -> Response:
    """Go back to the event; if it refuses, show it as it is now, with the reason."""
    try:
        await steering
    except (AttemptImminent, AlreadyEnded, Held, NotRedeliverable) as err:
        now = await event_of(visit, own.log.event_id)
        return await visit.page(
            "events/one.html",
            status=425 if isinstance(err, AttemptImminent) else 409,
            **await event_context(visit, now),
            refused=sentence(str(err)),
        )
    return see_other(f"/w/{own.log.workspace}/events/{own.log.event_id}", done)
