"""A waiting delivery can be tried at once; that changes when, and nothing else."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import PauseActivityRequest
from temporalio.client import Client

from delivery.signals import WaitingStep
from destinations.customerio.simulator import Fault
from eventlog.fetch import EventNotFound
from operations.next_attempt import NextAttempts
from operations.steering import AlreadyEnded, AttemptImminent, Held, bring_forward
from tests.every_destination import samples
from tests.guarantees.worker_process import worker_process
from tests.integration.stack import Stack, eventually, is_held, open_stack, waits

LATER = Fault(status=503, headers={"Retry-After": "600"})

# A worker that dies between the two calls with which an attempt is brought forward.
DIES_BETWEEN = """
import asyncio, os, signal
from operations import next_attempt
from settings import Settings
from worker import run

def dying(**unpausing):
    os.kill(os.getpid(), signal.SIGKILL)

next_attempt.UnpauseActivityRequest = dying
asyncio.run(run(Settings()))
"""


@pytest.mark.parametrize("call", ["identify", "track"])
async def test_the_next_attempt_is_made_at_once(stack: Stack, call: str) -> None:
    rule = await stack.rule()
    stack.sim.fail(call, fault=LATER, times=1)  # type: ignore[arg-type]
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    await bring_forward(stack.client, handle.id, rule.id, task_queue=stack.task_queue)
    assert (await handle.result())["status"] == "completed"
    log = (await stack.log(handle)).deliveries[0].call(call)  # type: ignore[arg-type]
    assert log is not None
    assert [(a.number, a.status_code) for a in log.attempts] == [(1, 503), (2, 200)]
    first, again = [request for request in stack.calls() if request.call == call]
    assert first.raw == again.raw


async def test_the_only_call_of_a_delivery_is_made_at_once_too(stack: Stack) -> None:
    slack = stack.simulators["slack"]
    sample = samples("unused")["slack"]
    connection = await stack.connect("slack", **sample.fields)
    rule = await stack.rule(connection, **sample.metadata)
    slack.fail("chat.postMessage", fault=LATER, times=1)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    await bring_forward(stack.client, handle.id, rule.id, task_queue=stack.task_queue)
    assert (await handle.result())["status"] == "completed"
    posts = [request for request in slack.requests if request.call == "chat.postMessage"]
    assert [post.status for post in posts] == [503, 200]


@pytest.mark.slow
async def test_again_and_again(stack: Stack) -> None:
    rule = await stack.rule()
    stack.sim.fail("identify", fault=LATER, times=2)
    handle = await stack.emit()
    for attempts in (1, 2):
        await stack.log_when(
            handle,
            lambda log, n=attempts: waits(log) and log.deliveries[0].attempt_count == n,
        )
        await bring_forward(stack.client, handle.id, rule.id, task_queue=stack.task_queue)
    await handle.result()
    [delivery] = (await stack.log(handle)).deliveries
    assert delivery.identify is not None
    assert [attempt.number for attempt in delivery.identify.attempts] == [1, 2, 3]


async def test_what_does_not_wait_says_why(stack: Stack) -> None:
    connection = await stack.connection()
    rule = await stack.rule(connection)
    stack.sim.fail("identify", fault=Fault(delay=1), times=1)
    handle = await stack.emit()
    await stack.sim.until(lambda: len(stack.calls()) == 1)
    with pytest.raises(AttemptImminent):
        await bring_forward(stack.client, handle.id, rule.id, task_queue=stack.task_queue)
    await handle.result()
    with pytest.raises(AlreadyEnded):
        await bring_forward(stack.client, handle.id, rule.id, task_queue=stack.task_queue)
    with pytest.raises(EventNotFound):
        await bring_forward(
            stack.client,
            "00000000-0000-4000-8000-000000000000",
            rule.id,
            task_queue=stack.task_queue,
        )


async def test_an_attempt_due_within_seconds_is_left_alone(stack: Stack) -> None:
    rule = await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503), times=1)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    with pytest.raises(AttemptImminent):
        await bring_forward(stack.client, handle.id, rule.id, task_queue=stack.task_queue)
    await handle.result()
    assert [request.status for request in stack.calls()] == [503, 200, 200]


async def test_a_held_delivery_refers_to_its_connection(stack: Stack) -> None:
    connection = await stack.connection()
    rule = await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    handle = await stack.emit()
    await stack.log_when(handle, is_held)
    with pytest.raises(Held, match="resume the connection"):
        await bring_forward(stack.client, handle.id, rule.id, task_queue=stack.task_queue)
    await stack.client.get_workflow_handle(handle.id).terminate()


@pytest.mark.slow
async def test_no_crash_between_the_calls_strands_it(temporal: Client, database: str) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        rule = await stack.rule()
        stack.sim.fail("identify", fault=LATER, times=1)
        async with worker_process(stack, "-c", DIES_BETWEEN) as worker:
            handle = await stack.emit()
            await stack.log_when(handle, waits, within=40)
            declared = await _step(stack, handle.id)
            await bring_forward(stack.client, handle.id, rule.id, task_queue=stack.task_queue)
            await worker.died()
        stranded = await _step(stack, handle.id)
        assert stranded.paused
        assert stranded.activity_options == declared.activity_options
        async with stack.make_worker():
            async with asyncio.timeout(60):
                await handle.result()
        [delivery] = (await stack.log(handle)).deliveries
        assert delivery.identify is not None
        assert [(a.number, a.status_code) for a in delivery.identify.attempts] == [
            (1, 503),
            (2, 200),
        ]


async def test_asked_twice_makes_one_attempt_and_leaves_the_declared_policy(stack: Stack) -> None:
    rule = await stack.rule()
    stack.sim.fail("identify", fault=LATER)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    declared = await _step(stack, handle.id)
    asked = WaitingStep(
        event_id=handle.id,
        run_id=(await stack.client.get_workflow_handle(handle.id).describe()).run_id or "",
        activity_id=f"{rule.id}/identify",
        attempt=declared.attempt,
    )
    await NextAttempts(stack.client).bring_forward(asked)
    await stack.log_when(handle, lambda log: waits(log) and log.deliveries[0].attempt_count == 2)
    await NextAttempts(stack.client).bring_forward(asked)  # as a try that nobody has heard of
    left = await _step(stack, handle.id)
    assert not left.paused
    assert left.attempt == declared.attempt + 1
    assert left.HasField("next_attempt_schedule_time")
    assert left.activity_options == declared.activity_options
    assert len(stack.calls()) == 2
    await stack.client.get_workflow_handle(handle.id).terminate()


@pytest.mark.slow
async def test_one_that_was_left_paused_while_in_flight_goes_on(stack: Stack) -> None:
    """Its try ends, and without a word from anyone nothing follows."""
    rule = await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503, delay=1), times=1)
    handle = await stack.emit()
    await stack.sim.until(lambda: len(stack.calls()) == 1)
    step = await _step(stack, handle.id)
    await stack.client.workflow_service.pause_activity(
        PauseActivityRequest(
            namespace=stack.client.namespace,
            execution=WorkflowExecution(workflow_id=handle.id),
            id=step.activity_id,
        )
    )
    await eventually(lambda: _parked(stack, handle.id))
    await bring_forward(stack.client, handle.id, rule.id, task_queue=stack.task_queue)
    assert (await handle.result())["status"] == "completed"


async def _step(stack: Stack, event_id: str) -> PendingActivityInfo:
    described = await stack.client.get_workflow_handle(event_id).describe()
    [step] = described.raw_description.pending_activities
    return step


async def _parked(stack: Stack, event_id: str) -> bool:
    state = (await _step(stack, event_id)).state
    return state == PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED
