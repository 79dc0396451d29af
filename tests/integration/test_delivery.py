"""An event on its way through real parts, seen at Customer.io's side and in the log."""

from __future__ import annotations

from destinations.customerio.simulator import Fault
from tests.integration.stack import SAMPLE, Stack


async def test_identify_then_track(stack: Stack) -> None:
    rule = await stack.rule(override="Signed Up")
    handle = await stack.emit()
    result = await handle.result()
    assert result["status"] == "completed"
    identify, track = stack.calls()
    assert [identify.call, track.call] == ["identify", "track"]
    assert identify.body["userId"] == track.body["userId"] == "usr_2048"
    assert list(identify.body["traits"]) == ["email", "first_name", "last_name", "plan"]
    assert track.body["event"] == "Signed Up"
    assert "properties" not in track.body
    log = await stack.log(handle)
    assert log.payload == SAMPLE
    [delivery] = log.deliveries
    assert delivery.rule == rule.id
    assert delivery.identify.request == identify.body
    assert delivery.track.request == track.body


async def test_failed_identify_stops_track(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400))
    log = await stack.ended(await stack.emit())
    assert log.status == "failed"
    assert [request.call for request in stack.calls()] == ["identify"]
    assert log.deliveries[0].track is None
