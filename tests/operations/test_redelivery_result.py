"""A redelivery says what became of each event that it began."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from temporalio.client import Client

from delivery.result import Status
from delivery.selection import Mode
from destinations.customerio.simulator import Fault
from eventlog.event_list import list_events
from eventlog.query import EventQuery
from operations.bulk_redelivery import (
    RedeliveryPlan,
    RedeliveryStatus,
    cancel_redelivery,
    plan_redelivery,
    read_redelivery,
    start_redelivery,
    watch_redelivery,
)
from operations.event_redelivery import redeliver
from tests.integration.stack import Stack, eventually, open_stack
from tests.operations.many import (
    all_ended,
    emit_many,
    failed_events,
    of_the_last_hour,
    visible,
)

REFUSED = Fault(status=400)
LATER = Fault(status=503, headers={"Retry-After": "600"})


async def redelivered(stack: Stack, plan: RedeliveryPlan) -> RedeliveryStatus:
    """Start it and wait for its end; what it began may still be under way."""
    await start_redelivery(stack.client, plan, task_queue=stack.task_queue)
    async with asyncio.timeout(60):
        async for status in watch_redelivery(stack.client, plan.id):
            last = status
    return last


async def told(stack: Stack, id: str, **expected: int) -> RedeliveryStatus:
    """Wait until lists, which lag behind, know of this result; what isn't named is none."""
    statuses: list[RedeliveryStatus] = []

    async def holds() -> bool:
        statuses.append(status := await read_redelivery(stack.client, id))
        assert status.result is not None
        counts = {name: n for name, n in vars(status.result).items() if n and name != "exact"}
        return counts == expected

    await eventually(holds)
    return statuses[-1]


async def test_delivered_failed_again_under_way_and_skipped(stack: Stack) -> None:
    handles = await failed_events(stack, 4)
    plan = await plan_redelivery(stack.client, of_the_last_hour(stack))
    await redeliver(stack.client, handles["bad-0"].id)
    await visible(stack, "ExecutionStatus = 'Completed'", 1)
    stack.sim.fail("identify", fault=REFUSED, times=1)
    stack.sim.fail("identify", fault=LATER, nth=(2,))

    status = await redelivered(stack, plan)
    assert status.progress is not None
    assert (status.progress.redelivered, status.progress.skipped) == (3, 1)
    status = await told(stack, plan.id, delivered=1, failed_again=1, under_way=1)
    assert sorted(status.statuses.values()) == ["completed", "failed", "processing"]
    [again] = [id for id, one in status.statuses.items() if one is Status.FAILED]
    query = EventQuery((stack.workspace,), status=Status.FAILED, redelivery=plan.id)
    listed = await list_events(stack.client, query, limit=10)
    assert [one.event_id for one in listed.events] == [again]

    await redeliver(stack.client, again)
    await told(stack, plan.id, delivered=1, under_way=1, redelivered_since=1)
    assert (await list_events(stack.client, query, limit=10)).events == ()
    others = await list_events(stack.client, replace(query, status=None), limit=10)
    assert {one.event_id for one in others.events} == set(status.statuses) - {again}


async def test_what_was_sent_anew_is_told_by_the_new_events(stack: Stack) -> None:
    await stack.rule()
    await all_ended(stack, (await emit_many(stack, ("good-0", "good-1"))).values())
    await visible(stack, "ExecutionStatus = 'Completed'", 2)
    stack.sim.fail("identify", fault=REFUSED, times=1)
    plan = await plan_redelivery(stack.client, of_the_last_hour(stack, mode=Mode.AGAIN))
    await redelivered(stack, plan)
    status = await told(stack, plan.id, delivered=1, failed_again=1)
    assert status.progress is not None
    assert set(status.statuses) == {one.new_event_id for one in status.progress.latest}


async def test_canceled_half_way_it_says_what_became_of_those_begun(stack: Stack) -> None:
    await failed_events(stack, 12)
    plan = await plan_redelivery(stack.client, of_the_last_hour(stack))
    await start_redelivery(stack.client, plan, task_queue=stack.task_queue, per_second=5)
    await visible(stack, "ExecutionStatus = 'Completed'", 1)
    await cancel_redelivery(stack.client, plan.id)
    async for status in watch_redelivery(stack.client, plan.id):
        last = status
    assert last.progress is not None
    assert last.state == "canceled"
    await told(stack, plan.id, delivered=last.progress.redelivered)


async def test_one_that_has_ended_is_read_without_a_worker(temporal: Client, database: str) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        async with stack.make_worker():
            await failed_events(stack, 1)
            plan = await plan_redelivery(stack.client, of_the_last_hour(stack))
            await redelivered(stack, plan)
        status = await told(stack, plan.id, delivered=1)
        assert status.progress is not None
        assert (status.progress.redelivered, status.progress.skipped) == (1, 0)
