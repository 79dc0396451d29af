"""A connection that takes no deliveries holds them: no request is made, nothing is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from delivery.signals import CONNECTION_RESUMED
from destinations.customerio.simulator import US_KEY, Fault
from emitonce import EventHandle
from operations.steering import resume_connection
from tests.integration.stack import Stack, eventually, is_held, waits

WRONG_KEY = "not-the-key"


async def resume(stack: Stack, connection: str) -> None:
    await resume_connection(stack.client, connection, task_queue=stack.task_queue)


async def looked_again(stack: Stack, handle: EventHandle, times: int) -> None:
    """Wait until the run has asked `times` times whether its connection takes deliveries."""
    run = stack.client.get_workflow_handle(handle.id)

    async def asked() -> bool:
        events = (await run.fetch_history()).events
        ended = [e for e in events if e.HasField("activity_task_failed_event_attributes")]
        return len(ended) >= times

    await eventually(asked)


async def test_a_refused_key_holds_the_delivery_until_it_is_replaced(stack: Stack) -> None:
    connection = await stack.connection(api_key=WRONG_KEY)
    await stack.rule(connection)
    handle = await stack.emit()

    held = await stack.log_when(handle, is_held)
    assert held.status == "retrying"
    assert held.deliveries[0].held == "401: wrong key or wrong region"
    inactive = await stack.catalog.connections.get(stack.organization, connection.id)
    assert (inactive.status, inactive.inactive_reason) == ("inactive", "authentication_invalid")

    # Told to look while nothing has changed, it finds the connection inactive and sends nothing.
    await stack.client.get_workflow_handle(handle.id).signal(CONNECTION_RESUMED, connection.id)
    await looked_again(stack, handle, 2)
    assert [request.status for request in stack.calls()] == [401]
    await stack.log_when(handle, is_held)

    await stack.catalog.connections.update(
        stack.organization, connection.id, fields={"cdpApiKey": US_KEY}
    )
    await resume(stack, connection.id)
    assert (await handle.result())["status"] == "completed"
    assert [request.status for request in stack.calls()] == [401, 200, 200]
    assert stack.calls()[0].raw == stack.calls()[1].raw

    [delivery] = (await stack.log(handle)).deliveries
    assert delivery.held is None
    assert delivery.identify is not None
    assert [attempt.outcome_code for attempt in delivery.identify.attempts] == [
        "auth_failed",
        "delivered",
    ]
    assert [attempt.number for attempt in delivery.identify.attempts] == [1, 2]


async def test_a_key_refused_at_track_goes_on_with_track_alone(stack: Stack) -> None:
    connection = await stack.connection()
    await stack.rule(connection)
    stack.sim.fail("track", fault=Fault(status=403), times=1)
    handle = await stack.emit()
    await stack.log_when(handle, is_held)
    await stack.catalog.connections.resume(stack.organization, connection.id)
    await resume(stack, connection.id)
    await handle.result()
    assert [request.call for request in stack.calls()] == ["identify", "track", "track"]


async def test_a_paused_connection_holds_without_a_request(stack: Stack) -> None:
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    handle = await stack.emit()
    held = await stack.log_when(handle, is_held)
    assert held.deliveries[0].held == "held: the connection is paused"
    assert held.deliveries[0].attempt_count == 0
    assert not stack.calls()

    await stack.catalog.connections.resume(stack.organization, connection.id)
    await resume(stack, connection.id)
    result = await handle.result()
    assert result["deliveries"][0]["identify"]["attempt_count"] == 1
    assert [request.call for request in stack.calls()] == ["identify", "track"]


async def test_a_connection_paused_between_attempts_stops_them(stack: Stack) -> None:
    connection = await stack.connection()
    await stack.rule(connection)
    stack.sim.fail("identify", fault=Fault(status=503), times=1)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    held = await stack.log_when(handle, is_held)
    assert held.deliveries[0].attempt_count == 1
    assert len(stack.calls()) == 1
    await stack.client.get_workflow_handle(handle.id).terminate()


async def test_a_held_delivery_looks_for_itself_within_the_hour(stack: Stack) -> None:
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    run = stack.client.get_workflow_handle((await stack.emit()).id)
    timers: list[timedelta] = []

    async def begun() -> bool:
        for event in (await run.fetch_history()).events:
            if event.HasField("timer_started_event_attributes"):
                timer = event.timer_started_event_attributes
                timers.append(timer.start_to_fire_timeout.ToTimedelta())
        return bool(timers)

    await eventually(begun)
    assert timers == [timedelta(hours=1)]
    await run.terminate()


async def test_a_key_replaced_meanwhile_is_used_by_the_next_attempt(stack: Stack) -> None:
    connection = await stack.connection()
    await stack.rule(connection)
    stack.sim.fail("identify", fault=Fault(status=503), times=1)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    stack.sim.set_keys(us=["the-new-key"])
    await stack.catalog.connections.update(
        stack.organization, connection.id, fields={"cdpApiKey": "the-new-key"}
    )
    assert (await handle.result())["status"] == "completed"
    assert [request.status for request in stack.calls()] == [503, 200, 200]


@pytest.mark.slow
async def test_a_key_replaced_while_the_old_one_is_refused_stays_active(stack: Stack) -> None:
    """The refusal of an old credential says nothing about the one that took its place."""
    connection = await stack.connection(api_key=WRONG_KEY)
    await stack.rule(connection)
    stack.sim.fail("identify", fault=Fault(status=401, delay=1), times=1)
    handle = await stack.emit()
    await stack.sim.until(lambda: len(stack.calls()) == 1)
    await stack.catalog.connections.update(
        stack.organization, connection.id, fields={"cdpApiKey": US_KEY}
    )
    assert (await handle.result())["status"] == "completed"
    assert [request.status for request in stack.calls()] == [401, 200, 200]
    found = await stack.catalog.connections.get(stack.organization, connection.id)
    assert found.status == "active"


async def test_only_the_connection_s_own_deliveries_are_held(stack: Stack) -> None:
    await stack.rule(await stack.connection("Wrong", api_key=WRONG_KEY))
    await stack.rule(await stack.connection("Right"))
    handle = await stack.emit()
    log = await stack.log_when(handle, lambda log: is_held(log) and log.completed_count == 1)
    assert [delivery.status for delivery in log.deliveries] == ["retrying", "completed"]
    await stack.client.get_workflow_handle(handle.id).terminate()
