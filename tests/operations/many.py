"""Many events at once, each of a person of its own."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from delivery.selection import Selection, select
from destinations.customerio.simulator import Fault
from emitonce import EventHandle
from tests.integration.stack import SAMPLE, Stack, eventually

AT_ONCE = 20
LONG = pytest.mark.skipif(
    not os.environ.get("EMITONCE_TEST_LONG"), reason="takes minutes: set EMITONCE_TEST_LONG=1"
)


async def emit_many(
    stack: Stack, people: Iterable[str], event: str = "user.signup", **fields: Any
) -> dict[str, EventHandle]:
    """One event for each of `people`; by person."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def emit(person: str) -> EventHandle:
        async with slots:
            return await stack.emit(event, {**SAMPLE, "userId": person}, **fields)

    names = list(people)
    return dict(zip(names, await asyncio.gather(*map(emit, names)), strict=True))


async def all_ended(stack: Stack, handles: Iterable[EventHandle], *, within: float = 60) -> None:
    """Wait until every latest run has ended, whichever way."""
    waiting = [stack.client.get_workflow_handle(handle.id) for handle in handles]
    async with asyncio.timeout(within):
        await asyncio.gather(*(run.result() for run in waiting), return_exceptions=True)


async def visible(stack: Stack, condition: str, count: int, *, within: float = 30) -> None:
    """Wait until lists, which lag behind, know of so many runs of the workspace's events."""
    query = (
        f"WorkflowType = 'DeliverEvent' AND EmitonceWorkspace = '{stack.workspace}' AND {condition}"
    )

    async def known() -> bool:
        return (await stack.client.count_workflows(query)).count == count

    await eventually(known, within=within)


async def failed_events(stack: Stack, count: int) -> dict[str, EventHandle]:
    """Emit events, each about another person, that are refused. Return once lists show them all."""
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400), times=count)
    handles = await emit_many(stack, (f"bad-{number}" for number in range(count)))
    await all_ended(stack, handles.values())
    await visible(stack, "ExecutionStatus = 'Failed'", count)
    return handles


def calls_by_person(stack: Stack, call: str | None = None) -> Counter[str]:
    """How many calls Customer.io got, by person."""
    return Counter(
        str(request.body.get("userId"))
        for request in stack.sim.requests
        if call in (None, request.call)
    )


def of_the_last_hour(stack: Stack, **fields: Any) -> Selection:
    now = datetime.now(UTC)
    return select(stack.workspace, accepted_from=now - timedelta(hours=1), now=now, **fields)
