"""Whatever is tried again is the same message, so that Customer.io counts it once."""

from __future__ import annotations

import itertools

from destinations.customerio.simulator import Fault, Request
from tests.integration.stack import Stack, waits


def made(stack: Stack, call: str) -> list[Request]:
    return [request for request in stack.calls() if request.call == call]


async def test_identical_bytes_and_message_id_on_every_attempt(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503, body="upstream is away"), times=2)
    stack.sim.fail("track", fault=Fault(status=500), times=1)
    handle = await stack.emit()
    [delivery] = (await handle.result())["deliveries"]
    for call, count in (("identify", 3), ("track", 2)):
        requests = made(stack, call)
        assert len(requests) == delivery[call]["attempt_count"] == count
        assert len({request.raw for request in requests}) == 1
        assert len({str(request.body["messageId"]) for request in requests}) == 1
    assert made(stack, "identify")[0].body["messageId"] != made(stack, "track")[0].body["messageId"]

    # And every one is told with its answer.
    [told] = (await stack.log(handle)).deliveries
    assert told.attempt_count == 5
    assert told.identify is not None
    attempts = told.identify.attempts
    assert [attempt.number for attempt in attempts] == [1, 2, 3]
    assert [attempt.status_code for attempt in attempts] == [503, 503, 200]
    assert [attempt.outcome_code for attempt in attempts] == [
        "rejected_server_error",
        "rejected_server_error",
        "delivered",
    ]
    assert attempts[0].response_excerpt == "upstream is away"
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
