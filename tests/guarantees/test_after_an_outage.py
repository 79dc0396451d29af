"""Once a connection that only failed works again, what waits for it is tried at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.common import RetryPolicy, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities import connection_limiter
from activities.connection_limiter import FAILING
from delivery.search_attributes import CONNECTIONS
from delivery.step import THROTTLED
from destinations.customerio.simulator import EU_KEY, Fault
from emitonce import EventHandle
from operations.waiting_tries import WaitingTries
from tests.integration.stack import SAMPLE, Stack, eventually

WAITING = 10
UNAVAILABLE = Fault(status=503)
LATER = Fault(status=503, headers={"Retry-After": "600"})


@pytest.fixture(autouse=True)
def _rare_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a connection that only fails looks again minutes later."""
    monkeypatch.setattr(connection_limiter, "LOOKS_PER_SECOND", 0.01)


async def only_fails(stack: Stack) -> None:
    """Let different events fail until their connection is only probed."""
    stack.sim.fail("identify", fault=UNAVAILABLE, region="us")
    for number in range(FAILING):
        await stack.emit(payload=SAMPLE | {"userId": f"failed-{number}"})
    await stack.sim.until(lambda: len({call.raw for call in stack.calls()}) >= FAILING)


async def emit_and_wait(stack: Stack, event: str = "user.signup") -> list[EventHandle]:
    """Emit events, and wait until they wait for minutes."""
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
    # Whoever's turn it was has looked, and no others.
    assert sum(now != then for now, then in zip(after, before, strict=True)) < WAITING / 2


def asked_of_europe(stack: Stack) -> int:
    return sum(call.region == "eu" for call in stack.calls())


@workflow.defn(name="DeliverEvent")
class Steep:
    """Waits for a call whose intervals grow so fast that no first interval is short enough, as
    those of the release before did after twenty tries."""

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            throttled,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(
                backoff_coefficient=10_000_000.0, maximum_interval=timedelta(minutes=15)
            ),
        )


@activity.defn
async def throttled() -> None:
    raise ApplicationError("", type=THROTTLED, next_retry_delay=timedelta(minutes=5))


async def test_what_cannot_be_brought_forward_waits_no_longer(stack: Stack) -> None:
    connection = (await stack.connection()).id
    queue = f"steep-{connection}"
    asked = []

    async def room() -> bool:
        asked.append(connection)
        return True

    async with Worker(
        stack.client,
        task_queue=queue,
        workflows=[Steep],
        activities=[throttled],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        handle = await stack.client.start_workflow(
            "DeliverEvent",
            id=connection,
            task_queue=queue,
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(CONNECTIONS, [connection])]
            ),
        )

        async def due() -> int:
            described = await handle.describe()
            for waiting in described.raw_description.pending_activities:
                return waiting.next_attempt_schedule_time.seconds
            return 0

        async def brought_forward() -> bool:
            others = asyncio.all_tasks()
            WaitingTries(stack.client).bring_forward([connection], room)
            await asyncio.gather(*(asyncio.all_tasks() - others))
            return bool(asked)

        async def waits() -> bool:
            return await due() > 0

        await eventually(waits)
        before = await due()
        await eventually(brought_forward)
        assert await due() <= before
