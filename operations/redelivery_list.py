"""List the bulk redeliveries of a workspace, latest first."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from temporalio.client import Client

from delivery.search_attributes import WORKSPACE
from eventlog.counts import COUNTED_AT_ONCE
from operations.bulk_redelivery import WORKFLOW, RedeliveryStatus
from operations.redelivery_result import read_result

MOST_ROWS = 200
MOST_LISTED = 50
WITH_RESULT = 20


async def list_redeliveries(client: Client, workspace: str) -> list[RedeliveryStatus]:
    """List the latest `MOST_LISTED` redeliveries; `workspace` is a UUID.

    The latest ones have their result. None has its progress, which only its own workflow knows.
    """
    query = f"WorkflowType = '{WORKFLOW}' AND {WORKSPACE.name} = '{workspace}'"
    latest: dict[str, RedeliveryStatus] = {}
    async for run in client.list_workflows(query, limit=MOST_ROWS):
        known = latest.get(run.id)
        if known is None or known.started_at < run.start_time:
            latest[run.id] = await RedeliveryStatus.of(run)
    listed = sorted(latest.values(), key=lambda one: one.started_at, reverse=True)[:MOST_LISTED]
    room = asyncio.Semaphore(COUNTED_AT_ONCE)

    async def with_result(one: RedeliveryStatus) -> RedeliveryStatus:
        async with room:
            return replace(one, result=await read_result(client, one.selection, None))

    counted = await asyncio.gather(*map(with_result, listed[:WITH_RESULT]))
    return [*counted, *listed[WITH_RESULT:]]
