"""A waiting delivery can be tried at once; that changes when, and nothing else."""

from __future__ import annotations

import pytest

from destinations.customerio.simulator import Fault
from engine.event_log import EventNotFound
from engine.steering import AlreadyEnded, AttemptImminent, Held, bring_forward
from tests.integration.stack import Stack, is_held, waits

LATER = Fault(status=503, headers={"Retry-After": "600"})


@pytest.mark.parametrize("call", ["identify", "track"])
async def test_the_next_attempt_is_made_at_once(stack: Stack, call: str) -> None:
    rule = await stack.rule()
    stack.sim.fail(call, fault=LATER, times=1)  # type: ignore[arg-type]
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    await bring_forward(stack.client, handle.id, rule.id)
    assert (await handle.result())["status"] == "completed"
    log = (await handle.log()).deliveries[0].call(call)  # type: ignore[arg-type]
    assert log is not None
    assert [(a.number, a.status_code) for a in log.attempts] == [(1, 503), (2, 200)]
    first, again = [request for request in stack.calls() if request.call == call]
    assert first.raw == again.raw


async def test_again_and_again(stack: Stack) -> None:
    rule = await stack.rule()
    stack.sim.fail("identify", fault=LATER, times=2)
    handle = await stack.emit()
    for attempts in (1, 2):
        await stack.log_when(
            handle,
            lambda log, n=attempts: waits(log) and log.deliveries[0].attempt_count == n,
        )
        await bring_forward(stack.client, handle.id, rule.id)
    await handle.result()
    [delivery] = (await handle.log()).deliveries
    assert delivery.identify is not None
    assert [attempt.number for attempt in delivery.identify.attempts] == [1, 2, 3]


async def test_what_does_not_wait_says_why(stack: Stack) -> None:
    connection = await stack.connection()
    rule = await stack.rule(connection)
    stack.sim.fail("identify", fault=Fault(delay=1), times=1)
    handle = await stack.emit()
    await stack.sim.until(lambda: len(stack.calls()) == 1)
    with pytest.raises(AttemptImminent):
        await bring_forward(stack.client, handle.id, rule.id)
    await handle.result()
    with pytest.raises(AlreadyEnded):
        await bring_forward(stack.client, handle.id, rule.id)
    with pytest.raises(EventNotFound):
        await bring_forward(stack.client, "00000000-0000-4000-8000-000000000000", rule.id)


async def test_an_attempt_due_within_seconds_is_left_alone(stack: Stack) -> None:
    rule = await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503), times=1)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    with pytest.raises(AttemptImminent):
        await bring_forward(stack.client, handle.id, rule.id)
    await handle.result()
    assert [request.status for request in stack.calls()] == [503, 200, 200]


async def test_a_held_delivery_refers_to_its_connection(stack: Stack) -> None:
    connection = await stack.connection()
    rule = await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organisation, connection.id)
    handle = await stack.emit()
    await stack.log_when(handle, is_held)
    with pytest.raises(Held, match="resume the connection"):
        await bring_forward(stack.client, handle.id, rule.id)
    await stack.client.get_workflow_handle(handle.id).terminate()
