"""Whatever is tried again is the same message, so that Customer.io counts it once."""

from __future__ import annotations

import itertools

from destinations.customerio.simulator import Fault, Request
from tests.integration.stack import Stack, waits


def made(stack: Stack, call: str) -> list[Request]:
    return [request for request in stack.calls() if request.call == call]


async def test_identical_bytes_and_message_id_on_every_attempt(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail(fault=Fault(status=503), nth=[1, 2, 4])  # identify twice, then track once
    handle = await stack.emit()
    result = await handle.result()
    [delivery] = result["deliveries"]
    for call, attempts in (("identify", 3), ("track", 2)):
        requests = made(stack, call)
        assert len(requests) == delivery[call]["attempt_count"] == attempts
        assert len({request.raw for request in requests}) == 1
        assert len({str(request.body["messageId"]) for request in requests}) == 1
    identify, track = made(stack, "identify")[0], made(stack, "track")[0]
    assert identify.body["messageId"] != track.body["messageId"]


async def test_every_attempt_is_told_with_its_answer(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503, body="upstream is away"), times=2)
    log = await stack.ended(await stack.emit())
    [delivery] = log.deliveries
    assert delivery.identify is not None
    attempts = delivery.identify.attempts
    assert [attempt.number for attempt in attempts] == [1, 2, 3]
    assert [attempt.status_code for attempt in attempts] == [503, 503, 200]
    assert [attempt.outcome_code for attempt in attempts] == [
        "rejected_server_error",
        "rejected_server_error",
        "delivered",
    ]
    assert attempts[0].response_excerpt == "upstream is away"
    assert delivery.attempt_count == 4
    starts = [attempt.started_at for attempt in attempts]
    assert starts == sorted(starts)
    for earlier, later in itertools.pairwise(attempts):
        assert earlier.next_attempt_at is not None
        assert later.started_at >= earlier.next_attempt_at


async def test_an_event_stored_before_the_connection_broke_is_stored_once(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("track", fault=Fault(kind="reset_after_store"), times=1)
    log = await stack.ended(await stack.emit())
    assert log.status == "completed"
    assert len(made(stack, "track")) == 2
    [event] = stack.sim.events
    assert event.person is stack.sim.person(id="usr_2048")
    assert log.deliveries[0].track is not None
    first, second = log.deliveries[0].track.attempts
    assert (first.outcome_code, first.status_code) == ("network_error", None)
    assert second.outcome_code == "delivered"


async def test_an_outage_of_the_network_is_sat_out(stack: Stack) -> None:
    await stack.rule()
    await stack.sim.refuse_connections("us")
    handle = await stack.emit()
    waiting = await stack.log_when(handle, waits)
    assert waiting.deliveries[0].last_error is not None
    assert waiting.deliveries[0].last_error.startswith("network_error")
    await stack.sim.accept_connections("us")
    assert (await handle.result())["status"] == "completed"
    assert [request.call for request in stack.calls()] == ["identify", "track"]
