"""What failed can be delivered again: the same messages, the whole story, nothing twice."""

from __future__ import annotations

import pytest

from destinations.customerio.simulator import EU_KEY, Fault
from eventlog.fetch import EventNotFound
from operations.event_redelivery import redeliver
from operations.redelivery_plan import NotRedeliverable
from operations.steering import cancel_event
from tests.integration.stack import Stack, waits

LATER = Fault(status=503, headers={"Retry-After": "600"})


async def test_it_sends_the_same_messages_and_keeps_earlier_attempts(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("track", fault=Fault(status=400, body="not now"), times=1)
    handle = await stack.emit()
    failed = await stack.ended(handle)
    assert failed.status == "failed"

    run = await redeliver(stack.client, handle.id)
    result = await handle.result()
    assert result["status"] == "completed"

    assert [request.call for request in stack.calls()] == ["identify", "track"] * 2
    ids = [str(request.body["messageId"]) for request in stack.calls()]
    assert ids[:2] == ids[2:]
    log = await stack.log(handle)
    assert (log.event_id, log.run_id, log.accepted_at) == (handle.id, run, failed.accepted_at)
    [delivery] = log.deliveries
    assert delivery.identify is not None
    assert delivery.track is not None
    assert [a.status_code for a in delivery.identify.attempts] == [200, 200]
    assert [a.status_code for a in delivery.track.attempts] == [400, 200]
    assert [a.number for a in delivery.track.attempts] == [1, 2]
    assert delivery.track.attempts[0].response_excerpt == "not now"


async def test_what_was_delivered_is_not_sent_again(stack: Stack) -> None:
    failing = await stack.rule(await stack.connection("US"))
    fine = await stack.rule(await stack.connection("EU", api_key=EU_KEY, region="eu"))
    stack.sim.fail("identify", fault=Fault(status=400), times=1, region="us")
    handle = await stack.emit()
    await stack.ended(handle)
    await redeliver(stack.client, handle.id)
    result = await handle.result()
    assert (result["total_rules"], result["completed_count"]) == (2, 2)
    assert {d["rule"] for d in result["deliveries"]} == {failing.id, fine.id}
    assert [r.call for r in stack.calls() if r.region == "eu"] == ["identify", "track"]
    assert [r.call for r in stack.calls() if r.region == "us"] == ["identify", "identify", "track"]


async def test_it_may_fail_again_and_be_redelivered_again(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400), times=2)
    handle = await stack.emit()
    assert (await stack.ended(handle)).status == "failed"
    await redeliver(stack.client, handle.id)
    assert (await stack.ended(handle)).status == "failed"
    await redeliver(stack.client, handle.id)
    log = await stack.ended(handle)
    assert log.status == "completed"
    assert log.deliveries[0].identify is not None
    assert [a.status_code for a in log.deliveries[0].identify.attempts] == [400, 400, 200]


async def test_completed_running_canceled_and_unknown_events_are_refused(stack: Stack) -> None:
    await stack.rule()
    done = await stack.emit()
    await done.result()
    with pytest.raises(NotRedeliverable):
        await redeliver(stack.client, done.id)

    stack.sim.fail("identify", fault=LATER)
    running = await stack.emit()
    await stack.log_when(running, waits)
    with pytest.raises(NotRedeliverable, match="still being delivered"):
        await redeliver(stack.client, running.id)
    await cancel_event(stack.client, running.id)
    await stack.ended(running)
    with pytest.raises(NotRedeliverable, match="canceled"):
        await redeliver(stack.client, running.id)

    unreadable = await stack.emit(event="")
    await stack.ended(unreadable)
    with pytest.raises(NotRedeliverable, match="could not be read"):
        await redeliver(stack.client, unreadable.id)
    with pytest.raises(EventNotFound):
        await redeliver(stack.client, "00000000-0000-4000-8000-000000000000")


async def test_an_event_that_an_operator_terminated_is_delivered_after_all(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("track", fault=LATER, times=1)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    await stack.client.get_workflow_handle(handle.id).terminate("by mistake")
    await redeliver(stack.client, handle.id)
    assert (await handle.result())["status"] == "completed"
    assert len(stack.sim.events) == 1


async def test_an_idempotency_key_still_stands_for_the_redelivered_event(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400), times=1)
    handle = await stack.emit(idempotency_key="order-1042")
    await stack.ended(handle)
    await redeliver(stack.client, handle.id)
    await handle.result()
    assert (await stack.emit(idempotency_key="order-1042")).id == handle.id
    assert len(stack.sim.events) == 1
