"""An event that was redelivered is one event: in counts, charts, lists and plans alike."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from delivery import search_attributes as names
from delivery.result import Status
from delivery.selection import Mode
from destinations.customerio.simulator import Fault
from emitonce import EventHandle
from engine.connect import connect
from eventlog import counts as event_counts
from eventlog.counts import EventCounts, KeptCounts, count_events, count_over_time, total
from eventlog.event_list import list_events
from eventlog.query import EventQuery
from operations import bulk_redelivery
from operations.bulk_redelivery import plan_redelivery
from operations.event_redelivery import redeliver
from tests.integration.stack import Stack, eventually, open_stack
from tests.integration.test_event_list import Runs
from tests.operations.many import all_ended, emit_many, of_the_last_hour, visible
from tests.operations.test_redelivery_result import redelivered

HOUR = timedelta(hours=1)


async def redelivered_in_vain(stack: Stack, times: int) -> EventHandle:
    """One event, which failed at first and `times` times more; two others were delivered."""
    await stack.rule()
    await all_ended(stack, (await emit_many(stack, ("good-0", "good-1"))).values())
    stack.sim.fail("identify", fault=Fault(status=400))
    event = await stack.emit()
    await all_ended(stack, [event])
    for _ in range(times):
        await redeliver(stack.client, event.id)
        await all_ended(stack, [event])
    await visible(stack, "ExecutionStatus = 'Failed'", 1 + times)
    await visible(stack, "ExecutionStatus = 'Completed'", 2)
    return event


@pytest.mark.parametrize("looked_at", [1_000, 0], ids=["one by one", "by marks"])
async def test_chips_charts_and_lists_agree_on_events(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    event = await redelivered_in_vain(stack, times=4)
    monkeypatch.setattr(event_counts, "LOOKED_AT", looked_at)
    query = EventQuery((stack.workspace,))
    counts = await count_events(stack.client, query)
    assert (counts.by_status[Status.FAILED], counts.by_status[Status.COMPLETED]) == (1, 2)
    assert (counts.total, counts.superseded, counts.exact) == (3, 4, bool(looked_at))
    failed = await list_events(stack.client, replace(query, status=Status.FAILED), limit=10)
    assert [one.event_id for one in failed.events] == [event.id]
    now = datetime.now(UTC)
    edges = [now + hours * HOUR for hours in (-3, -2, -1, 0, 1)]
    bars = await count_over_time(stack.client, query, edges, KeptCounts())
    assert total(bars) == counts


async def test_runs_without_a_mark_are_looked_at_or_the_count_says_about(
    temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, now = Runs(temporal), datetime.now(UTC)
    ids = [await runs.start(accepted_at=now - HOUR) for _ in range(3)]
    for id in ids:
        await runs.redeliver(id, now - HOUR)  # as versions before the mark did
    await runs.end(ids[0])
    await runs.listed(6)
    expected = {Status.PROCESSING: 2, Status.CANCELED: 1, Status.FAILED: 0, Status.COMPLETED: 0}

    async def counted() -> EventCounts:
        return await count_events(temporal, runs.query)

    async def known() -> bool:
        return (await counted()).by_status == expected

    await eventually(known)
    assert (await counted()).exact
    monkeypatch.setattr(event_counts, "LOOKED_AT", 3)
    assert not (await counted()).exact
    assert (await counted()).by_status[Status.CANCELED] == 4
    assert not (await counted()).is_exact(Status.CANCELED)
    assert (await counted()).is_exact(Status.PROCESSING)


@pytest.mark.parametrize("mode", [Mode.FAILED, Mode.AGAIN])
async def test_a_plan_of_many_runs_counts_events_without_looking_at_each(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    await redelivered_in_vain(stack, times=2)
    stack.sim.clear_faults()
    first = await plan_redelivery(stack.client, of_the_last_hour(stack, mode=Mode.AGAIN))
    await redelivered(stack, first)
    await visible(stack, "ExecutionStatus = 'Completed'", 4)
    monkeypatch.setattr(bulk_redelivery, "LOOKED_AT", 0)
    monkeypatch.setattr(bulk_redelivery, "SAMPLED", 1)
    plan = await plan_redelivery(stack.client, of_the_last_hour(stack, mode=mode))
    assert (plan.matched, plan.exact) == ({Mode.FAILED: 1, Mode.AGAIN: 2}[mode], False)


@pytest.mark.slow
async def test_a_namespace_without_the_mark_redelivers_and_counts(
    temporal: Client, database: str
) -> None:
    """As long as no worker of this version has started there."""
    older = await older_namespace(temporal)
    async with open_stack(older, database) as stack:
        event = await redelivered_in_vain(stack, times=1)
        counts = await count_events(older, EventQuery((stack.workspace,)))
        assert counts.by_status[Status.FAILED] == 1
        plan = await plan_redelivery(older, of_the_last_hour(stack))
        assert [one.event_id for one in plan.sample] == [event.id]
        stack.sim.clear_faults()
        done = await redelivered(stack, plan)
        assert done.progress is not None
        assert (done.progress.redelivered, done.result) == (1, None)


async def older_namespace(client: Client) -> Client:
    """A namespace of the same server that has what earlier versions had registered."""
    name = f"older-{uuid.uuid4()}"
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=name, workflow_execution_retention_period=Duration(seconds=86_400)
        )
    )
    attributes = {
        key.name: IndexedValueType.ValueType(key.indexed_value_type)
        for key in names.ALL
        if key != names.REDELIVERY
    }
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=name, search_attributes=attributes)
    )
    older = await connect(client.service_client.config.target_host, namespace=name)

    async def known() -> bool:
        try:
            await Runs(older).start()
        except RPCError as err:
            return "no mapping" not in err.message
        return True

    await eventually(known, within=60)
    return older
