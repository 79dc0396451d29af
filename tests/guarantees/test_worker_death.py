"""Workers die; events don't. What was under way is taken up where it stood."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import Client

from destinations.customerio.simulator import Fault, Request
from emitonce import EventHandle
from tests.guarantees.worker_process import worker_process
from tests.integration.stack import SAMPLE, Stack, eventually, open_stack


def calls(stack: Stack, user: str, call: str) -> list[Request]:
    return [request for request in stack.calls(user=user) if request.call == call]


async def emit(stack: Stack, user: str) -> EventHandle:
    return await stack.emit(payload={**SAMPLE, "userId": user, "email": f"{user}@example.com"})


async def in_flight(stack: Stack, user: str, call: str) -> None:
    await stack.sim.until(lambda: len(calls(stack, user, call)) == 1, timeout=30)


@pytest.mark.slow
async def test_a_worker_killed_between_identify_and_track_loses_nothing(
    temporal: Client, database: str
) -> None:
    """Killed with requests on their way: an identify, a track, and a track already stored."""
    async with open_stack(temporal, database, working=False) as stack:
        await stack.rule()
        stack.sim.fail("identify", fault=Fault(kind="stall"), nth=[1])
        stack.sim.fail("track", fault=Fault(kind="stall"), nth=[1])
        stack.sim.fail("track", fault=Fault(kind="stall", store="first"), nth=[2])
        async with worker_process(stack) as worker:
            handles = {"at_identify": await emit(stack, "at_identify")}
            await in_flight(stack, "at_identify", "identify")
            for user in ("at_track", "stored"):
                handles[user] = await emit(stack, user)
                await in_flight(stack, user, "track")
            await worker.kill()
        assert [event.person.id for event in stack.sim.events if event.person] == ["stored"]

        async with worker_process(stack):
            await asyncio.gather(*(handle.result() for handle in handles.values()))
        assert sorted(str(e.person.id) for e in stack.sim.events if e.person) == sorted(handles)
        made = {user: [request.call for request in stack.calls(user=user)] for user in handles}
        assert made == {
            "at_identify": ["identify", "identify", "track"],
            "at_track": ["identify", "track", "track"],
            "stored": ["identify", "track", "track"],
        }
        for user, call in (("at_identify", "identify"), ("at_track", "track"), ("stored", "track")):
            first, again = calls(stack, user, call)
            assert first.raw == again.raw

        [delivery] = (await stack.log(handles["at_track"])).deliveries
        assert delivery.track is not None
        lost, delivered = delivery.track.attempts
        assert lost.outcome_code == "internal_error"
        assert lost.message.startswith("unknown: ")
        assert lost.request_made is None
        assert delivered.request_made
        assert (delivered.number, delivered.outcome_code) == (2, "delivered")


async def test_a_worker_that_is_stopped_lets_its_request_finish(
    temporal: Client, database: str
) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        await stack.rule()
        stack.sim.fail("identify", fault=Fault(delay=2), nth=[1])
        async with worker_process(stack) as worker:
            handle = await stack.emit()
            await stack.sim.until(lambda: len(stack.calls()) == 1, timeout=30)
            assert await worker.terminate() == 0
        assert stack.calls()[0].status == 200

        async def recorded() -> bool:
            [delivery] = (await stack.log(handle)).deliveries
            return delivery.identify is not None and delivery.identify.status_code == 200

        await eventually(recorded)
        async with worker_process(stack):
            await handle.result()
        assert [request.call for request in stack.calls()] == ["identify", "track"]
        [delivery] = (await stack.log(handle)).deliveries
        assert delivery.attempt_count == 2
