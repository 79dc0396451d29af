"""An event without a timestamp happened when it was accepted, not when it was processed."""

from __future__ import annotations

import asyncio
from datetime import datetime

from temporalio.client import Client

from delivery.timestamps import iso_milliseconds
from destinations.customerio.simulator import Fault
from operations.event_redelivery import redeliver
from tests.integration.stack import Stack, open_stack


async def test_it_is_the_moment_of_acceptance_even_when_no_worker_was_there(
    temporal: Client, database: str
) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        await stack.rule()
        handle = await stack.emit()
        described = await stack.client.get_workflow_handle(handle.id).describe()
        await asyncio.sleep(0.1)  # so that the first task can't fall into the same moment
        async with stack.make_worker():
            await handle.result()
        accepted = iso_milliseconds(described.start_time)
        assert {request.body["timestamp"] for request in stack.calls()} == {accepted}
        log = await stack.log(handle)
        assert log.timestamp is not None
        assert iso_milliseconds(log.timestamp) == accepted


async def test_it_stays_the_same_when_the_event_is_redelivered(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("track", fault=Fault(status=400), times=1)
    handle = await stack.emit()
    await stack.ended(handle)
    await redeliver(stack.client, handle.id)
    await handle.result()
    assert [request.call for request in stack.calls()] == ["identify", "track"] * 2
    for call in ("identify", "track"):
        first, again = [request for request in stack.calls() if request.call == call]
        assert first.raw == again.raw


async def test_a_timestamp_given_is_sent_in_utc_with_milliseconds(stack: Stack) -> None:
    await stack.rule()
    await (await stack.emit(timestamp=datetime.fromisoformat("2026-11-23T19:00:00+01:00"))).result()
    assert {r.body["timestamp"] for r in stack.calls()} == {"2026-11-23T18:00:00.000Z"}
