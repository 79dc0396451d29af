"""A cancel lets the request in flight finish, makes no new one, and keeps what was tried."""

from __future__ import annotations

import asyncio

import pytest

from delivery.search_attributes import CANCELED, STATE
from destinations.customerio.simulator import EU_KEY, Fault
from emitonce import EventCanceled
from eventlog.fetch import EventNotFound
from operations.steering import AlreadyEnded, cancel_delivery, cancel_event
from tests.integration.stack import Stack, eventually, is_held, waits

LATER = Fault(status=503, headers={"Retry-After": "600"})


async def cancel_asked(stack: Stack, event_id: str) -> None:
    """Wait until the run knows of it."""

    async def known() -> bool:
        events = (await stack.client.get_workflow_handle(event_id).fetch_history()).events
        return any(e.HasField("activity_task_cancel_requested_event_attributes") for e in events)

    await eventually(known)


async def test_a_request_in_flight_finishes_and_is_recorded(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(delay=2))
    handle = await stack.emit()
    await stack.sim.until(lambda: len(stack.calls()) == 1)
    await cancel_event(stack.client, handle.id)
    await cancel_asked(stack, handle.id)
    assert stack.calls()[0].answered is None
    with pytest.raises(EventCanceled):
        await handle.result()
    log = await stack.log(handle)
    [delivery] = log.deliveries
    assert log.status == delivery.status == "canceled"
    assert delivery.identify is not None
    assert [attempt.status_code for attempt in delivery.identify.attempts] == [200]
    assert [request.status for request in stack.calls()] == [200]  # and no track after it


async def test_a_refusal_in_flight_is_not_tried_again(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503, delay=1))
    handle = await stack.emit()
    await stack.sim.until(lambda: len(stack.calls()) == 1)
    await cancel_event(stack.client, handle.id)
    log = await stack.ended(handle)
    assert log.status == "canceled"
    assert len(stack.calls()) == 1
    assert log.deliveries[0].identify is not None
    [attempt] = log.deliveries[0].identify.attempts
    assert attempt.status_code == 503


async def test_earlier_attempts_stay_when_a_waiting_event_is_canceled(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("track", fault=Fault(status=503), times=1)
    stack.sim.fail("track", fault=LATER)
    handle = await stack.emit()
    await stack.log_when(handle, lambda log: waits(log) and log.deliveries[0].attempt_count == 3)
    await cancel_event(stack.client, handle.id)
    log = await stack.ended(handle)
    [delivery] = log.deliveries
    assert delivery.status == "canceled"
    assert delivery.identify is not None
    assert delivery.track is not None
    assert delivery.identify.outcome_code == "delivered"
    assert [attempt.status_code for attempt in delivery.track.attempts] == [503, 503]
    assert delivery.track.next_attempt_at is None
    assert len(stack.calls()) == 3


async def test_a_held_event_is_canceled_at_once(stack: Stack) -> None:
    connection = await stack.connection(api_key="not-the-key")
    await stack.rule(connection)
    handle = await stack.emit()
    await stack.log_when(handle, is_held)
    await cancel_event(stack.client, handle.id)
    log = await stack.ended(handle)
    assert log.status == "canceled"
    assert log.deliveries[0].held is None
    assert log.deliveries[0].identify is not None
    assert [a.outcome_code for a in log.deliveries[0].identify.attempts] == ["auth_failed"]


async def test_one_rule_s_delivery_is_canceled_and_the_other_goes_on(stack: Stack) -> None:
    waiting = await stack.rule(await stack.connection("US"))
    other = await stack.rule(await stack.connection("EU", api_key=EU_KEY, region="eu"))
    stack.sim.fail("identify", fault=LATER, region="us")
    stack.sim.fail("track", fault=Fault(delay=1), region="eu")
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    ended = await cancel_delivery(stack.client, handle.id, waiting.id)
    assert ended.status == "canceled"
    assert ended.identify is not None
    assert ended.identify.attempt_count == 1

    result = await handle.result()
    assert result["status"] == "completed"
    assert result["completed_count"] == 1
    log = await stack.log(handle)
    by_rule = {delivery.rule: delivery for delivery in log.deliveries}
    assert by_rule[waiting.id].status == "canceled"
    assert by_rule[other.id].status == "completed"
    assert by_rule[waiting.id].identify is not None
    assert [a.status_code for a in by_rule[waiting.id].identify.attempts] == [503]
    assert [request.call for request in stack.calls() if request.region == "us"] == ["identify"]


async def test_a_delivery_canceled_in_flight_records_its_request(stack: Stack) -> None:
    rule = await stack.rule()
    stack.sim.fail("identify", fault=Fault(delay=1))
    handle = await stack.emit()
    await stack.sim.until(lambda: len(stack.calls()) == 1)
    ended = await cancel_delivery(stack.client, handle.id, rule.id)
    assert ended.status == "canceled"
    assert ended.identify is not None
    assert ended.identify.status_code == 200
    assert (await handle.result())["status"] == "canceled"
    assert len(stack.calls()) == 1


async def test_an_event_whose_every_delivery_was_canceled_is_listed_as_canceled(
    stack: Stack,
) -> None:
    rule = await stack.rule()
    stack.sim.fail("identify", fault=LATER)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    await cancel_delivery(stack.client, handle.id, rule.id)
    log = await stack.ended(handle)
    assert log.status == "canceled"
    described = await stack.client.get_workflow_handle(handle.id).describe()
    assert described.typed_search_attributes[STATE] == CANCELED


async def test_what_has_ended_or_is_unknown_can_not_be_canceled(stack: Stack) -> None:
    done = await stack.rule(await stack.connection("EU", api_key=EU_KEY, region="eu"))
    await stack.rule(await stack.connection("US"))
    stack.sim.fail("identify", fault=LATER, region="us")
    handle = await stack.emit()
    await stack.log_when(handle, lambda log: log.completed_count == 1)
    with pytest.raises(AlreadyEnded):
        await cancel_delivery(stack.client, handle.id, done.id)
    unknown = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(EventNotFound):
        await cancel_delivery(stack.client, handle.id, unknown)
    with pytest.raises(EventNotFound):
        await cancel_event(stack.client, unknown)
    await cancel_event(stack.client, handle.id)
    await stack.ended(handle)
    with pytest.raises(AlreadyEnded):
        await cancel_event(stack.client, handle.id)


async def test_a_cancel_from_the_web_ui_says_that_attempts_are_gone(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=LATER)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    await stack.client.get_workflow_handle(handle.id).cancel()
    log = await asyncio.wait_for(stack.ended(handle), 20)
    assert log.status == "canceled"
    assert log.deliveries[0].last_error is not None
    assert "not kept" in log.deliveries[0].last_error
