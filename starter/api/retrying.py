"""Retry one delivery, whatever it waits for."""

from __future__ import annotations

from operations.event_redelivery import redeliver
from operations.steering import bring_forward
from starter.api.auth import Caller
from starter.api.dependencies import Dependencies
from starter.api.reading import OwnEvent, read_own_event, wait_for_end

CLOSING_SECONDS = 5.0


async def retry(parts: Dependencies, caller: Caller, own: OwnEvent, rule: str) -> None:
    """Bring a waiting delivery's next attempt forward, or deliver again one that has failed.

    Raises: as `bring_forward` and `redeliver`.
    """
    client, event = parts.client, own.log.event_id
    if own.open and own.log.status.ended:
        # All its deliveries have ended, and so will the run, with its next task.
        await wait_for_end(client, own.log, CLOSING_SECONDS)
        own = await read_own_event(parts, caller, event)
    if own.open:
        await bring_forward(client, event, rule, task_queue=parts.task_queue)
    else:
        await redeliver(client, event, rules=[rule])
