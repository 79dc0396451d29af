"""Once a connection that only failed works again, what waits for it is tried at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy, SearchAttributePair, TypedSearchAttributes
from temporalio.converter import PayloadCodec
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities import connection_limiter
from activities.connection_limiter import FAILING
from delivery.search_attributes import CONNECTIONS
from delivery.step import THROTTLED
from destinations.customerio.simulator import EU_KEY, Fault
from emitonce import EventHandle
from emitonce.key_ring import KeyRing
from engine.connect import connect
from engine.data_converter import data_converter
from operations.waiting_tries import WaitingTries
from tests.api.line import Line
from tests.integration.stack import SAMPLE, Stack, eventually

WAITING = 10
UNAVAILABLE = Fault(status=503)
LATER = Fault(status=503, headers={"Retry-After": "600"})


@pytest.fixture(autouse=True)
def _rare_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tries that wait for a connection that only fails come back only after minutes."""
    monkeypatch.setattr(connection_limiter, "LOOKS_PER_SECOND", 0.01)


async def only_fails(stack: Stack) -> None:
    """Let different events fail until their connection is only probed."""
    stack.sim.fail("identify", fault=UNAVAILABLE, region="us")
    for number in range(FAILING):
        await stack.emit(payload=SAMPLE | {"userId": f"failed-{number}"})
    await stack.sim.until(lambda: len({call.raw for call in stack.calls()}) >= FAILING)


async def emit_and_wait(stack: Stack, event: str = "user.signup") -> list[EventHandle]:
    """Emit events, and return once their tries have been sent back for minutes."""
    handles = [
        await stack.emit(event, SAMPLE | {"userId": f"waiting-{number}"})
        for number in range(WAITING)
    ]

    async def throttled(handle: EventHandle) -> bool:
        described = await stack.client.get_workflow_handle(handle.id).describe()
        return any(
            info.last_failure.application_failure_info.type == "Throttled"
            for info in described.raw_description.pending_activities
        )

    for handle in handles:
        await eventually(lambda handle=handle: throttled(handle))
    return handles


async def test_what_waits_is_delivered_and_its_record_says_what_was_sent(stack: Stack) -> None:
    await stack.rule()
    await only_fails(stack)
    handles = await emit_and_wait(stack)
    stack.sim.clear_faults()
    await asyncio.wait_for(asyncio.gather(*(handle.result() for handle in handles)), 60)
    for number, handle in enumerate(handles):
        [delivery] = (await stack.log(handle)).deliveries
        calls = stack.calls(user=f"waiting-{number}")
        assert delivery.attempt_count == len(calls)
        for call in delivery.calls:
            assert [attempt.number for attempt in call.attempts] == list(
                range(1, sum(one.call == call.call for one in calls) + 1)
            )


@pytest.mark.slow
async def test_what_a_vendor_asked_to_wait_for_still_waits(stack: Stack) -> None:
    america, europe = (
        await stack.connection("US"),
        await stack.connection("EU", api_key=EU_KEY, region="eu"),
    )
    await stack.rule(america)
    await stack.rule(america, event="to.both")
    await stack.rule(europe, event="to.both")
    stack.sim.fail("identify", fault=LATER, region="eu")
    await only_fails(stack)
    handles = await emit_and_wait(stack, "to.both")
    await stack.sim.until(lambda: asked_of_europe(stack) == WAITING)
    stack.sim.clear_faults()
    for handle in handles:
        await stack.log_when(handle, lambda log: log.completed_count == 1, within=60)
    assert asked_of_europe(stack) == WAITING


@pytest.mark.slow
async def test_what_waits_for_another_connection_keeps_its_turn(stack: Stack) -> None:
    america, europe = (
        await stack.connection("US"),
        await stack.connection("EU", api_key=EU_KEY, region="eu"),
    )
    await stack.rule(america)
    await stack.rule(america, event="to.both")
    other = await stack.rule(europe, event="to.both")
    await stack.rule(europe, event="to.europe")
    stack.sim.fail("identify", fault=UNAVAILABLE, region="eu")
    for number in range(FAILING):
        await stack.emit("to.europe", SAMPLE | {"userId": f"failed-{number}"})
    await stack.sim.until(lambda: asked_of_europe(stack) >= FAILING)
    await only_fails(stack)
    handles = await emit_and_wait(stack, "to.both")

    async def tries(handle: EventHandle) -> int:
        described = await stack.client.get_workflow_handle(handle.id).describe()
        [number] = [
            info.attempt
            for info in described.raw_description.pending_activities
            if info.activity_id == f"{other.id}/identify"
        ]
        return number

    before = [await tries(handle) for handle in handles]
    stack.sim.clear_faults()
    stack.sim.fail("identify", fault=UNAVAILABLE, region="eu")
    for handle in handles:
        await stack.log_when(handle, lambda log: log.completed_count == 1, within=60)
    after = [await tries(handle) for handle in handles]
    # Only the tries whose turn it was have come back.
    assert sum(now != then for now, then in zip(after, before, strict=True)) < WAITING / 2


def asked_of_europe(stack: Stack) -> int:
    return sum(call.region == "eu" for call in stack.calls())


@workflow.defn(name="DeliverEvent")
class Waiting:
    """Calls an activity that gets no permit. Its retry intervals grow by `factor`."""

    @workflow.run
    async def run(self, factor: float) -> None:
        await workflow.execute_activity(
            throttled,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(
                backoff_coefficient=factor, maximum_interval=timedelta(minutes=15)
            ),
        )


@activity.defn
async def throttled() -> None:
    """Fail as a delivery's call does that lacks a permit of the connection named by the run."""
    connection = activity.info().workflow_id
    raise ApplicationError(
        "", "a result", connection, type=THROTTLED, next_retry_delay=timedelta(minutes=5)
    )


@asynccontextmanager
async def waiting_run(
    client: Client, connection: str, *, factor: float
) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    queue = f"waiting-{connection}"
    listing = TypedSearchAttributes([SearchAttributePair(CONNECTIONS, [connection])])
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Waiting],
        activities=[throttled],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield await client.start_workflow(
            "DeliverEvent", factor, id=connection, task_queue=queue, search_attributes=listing
        )


async def due(handle: WorkflowHandle[Any, Any]) -> int:
    """Return the time of the next try, in seconds, as soon as it is known."""
    found = 0

    async def known() -> bool:
        nonlocal found
        described = await handle.describe()
        for waiting in described.raw_description.pending_activities:
            found = waiting.next_attempt_schedule_time.seconds
        return found > 0

    await eventually(known)
    return found


async def bring_forward(client: Client, connection: str) -> None:
    """Bring forward what waits for the connection, as soon as it is listed."""
    asked = []

    async def room() -> bool:
        asked.append(connection)
        return True

    async def done() -> bool:
        others = asyncio.all_tasks()
        WaitingTries(client).bring_forward([connection], room)
        await asyncio.gather(*(asyncio.all_tasks() - others))
        return bool(asked)

    await eventually(done)


async def test_what_cannot_be_brought_forward_waits_no_longer(stack: Stack) -> None:
    """No first interval is short enough, as after twenty tries by the previous release."""
    connection = (await stack.connection()).id
    async with waiting_run(stack.client, connection, factor=10_000_000.0) as handle:
        before = await due(handle)
        await bring_forward(stack.client, connection)
        assert await due(handle) <= before


async def test_what_cannot_be_read_may_wait_for_the_connection_and_is_brought_forward(
    stack: Stack,
) -> None:
    connection = (await stack.connection()).id
    config = stack.client.config()
    config["data_converter"] = data_converter(KeyRing({"elsewhere": b"1" * 32}))
    async with waiting_run(Client(**config), connection, factor=2.0) as handle:
        await due(handle)
        await bring_forward(stack.client, connection)
        await eventually(lambda: tried_again(handle))


async def test_an_answer_that_is_lost_leaves_nothing_waiting(stack: Stack) -> None:
    connection = (await stack.connection()).id
    async with (
        waiting_run(stack.client, connection, factor=2.0) as handle,
        Line(stack.client) as line,
    ):
        await due(handle)
        await bring_forward(await losing(line), connection)
        await eventually(lambda: tried_again(handle))


async def losing(line: Line) -> Client:
    """Return a client whose next request is lost once it has read what a try waits for."""

    class Reading(PayloadCodec):
        async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
            return list(payloads)

        async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
            line.lose_next()
            return list(payloads)

    config = (await connect(line.address)).config()
    config["data_converter"] = replace(config["data_converter"], payload_codec=Reading())
    return Client(**config)


async def tried_again(handle: WorkflowHandle[Any, Any]) -> bool:
    described = await handle.describe()  # whose number is that of the try that waits
    return any(one.attempt > 2 for one in described.raw_description.pending_activities)
