"""Keep `WatchDeliveries`, the watch over a task queue's deliveries, running.

Every worker that has an alert target checks each minute that the watch runs. So if a worker without
a target ends it, as workers of an older release do, it is started again within a minute.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
)
from temporalio.common import WorkflowIDConflictPolicy

from delivery.alert import AlertsFound, CurrentTarget, WatchState
from emitonce.errors import CannotDecode
from engine.missing import ignore_missing
from eventlog.fetch import EventNotFound, fetch_run
from operations.background import repeated

KEEP_SECONDS = 60.0
# A watch that starts again reports what failed meanwhile, but nothing older than this.
REMEMBERED = timedelta(hours=1)

log = logging.getLogger(__name__)


@asynccontextmanager
async def kept_watch(
    client: Client, task_queue: str, target: CurrentTarget, *, keep_seconds: float = KEEP_SECONDS
) -> AsyncIterator[None]:
    """Keep the watch running in the background while there is an alert target."""

    async def keep() -> None:
        if await target() is not None:
            await start_watch(client, task_queue)

    failing = "can't check that the watch runs"
    async with repeated(keep, every_seconds=keep_seconds, name="watch", failing=failing):
        yield


async def start_watch(client: Client, task_queue: str) -> None:
    """Start the watch where its last run ended; do nothing if it is running."""
    id = f"watch-{task_queue}"
    last = None
    with ignore_missing():
        last = await client.get_workflow_handle(id).describe()
    if last is not None and last.status is WorkflowExecutionStatus.RUNNING:
        return
    await client.start_workflow(
        "WatchDeliveries",
        await _known(client, last),
        id=id,
        task_queue=task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary="searches for what an operator should know about",
    )


async def _known(client: Client, last: WorkflowExecutionDescription | None) -> WatchState:
    """Read what the last search of the ended run found; nothing if that was long ago."""
    now = datetime.now(UTC)
    known = WatchState(failed_until=now)
    if last is None:
        return known
    try:
        events, _ = await fetch_run(client, last)
    except (CannotDecode, EventNotFound) as err:
        log.warning("what the last run of the watch knew can't be read: %s", err)
        return known
    read = client.data_converter.payload_converter.from_payloads
    for event in events:
        if event.HasField("workflow_execution_started_event_attributes"):
            started = event.workflow_execution_started_event_attributes
            [known] = read(started.input.payloads, [WatchState])
        elif event.HasField("activity_task_completed_event_attributes"):  # its only activity
            looked = event.activity_task_completed_event_attributes
            [seen] = read(looked.result.payloads, [AlertsFound])
            known = seen.known
    if known.failed_until < now - REMEMBERED:
        return known.model_copy(update={"failed_until": now - REMEMBERED, "recent": 0})
    return known
