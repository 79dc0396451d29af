"""Identify goes first, and track goes only where identify was accepted."""

from __future__ import annotations

import pytest

from destinations.customerio.simulator import Fault
from emitonce import DeliveryFailed
from tests.integration.stack import Stack


async def test_track_is_sent_only_after_identify_was_answered(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(delay=0.5))
    await (await stack.emit()).result()
    identify, track = stack.calls()
    assert (identify.call, track.call) == ("identify", "track")
    assert identify.answered is not None
    assert identify.answered <= track.received


async def test_track_waits_until_identify_has_succeeded_at_last(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=500), times=1)
    await (await stack.emit()).result()
    assert [request.call for request in stack.calls()] == ["identify", "identify", "track"]


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_failed_identify_stops_track(stack: Stack, status: int) -> None:
    rule = await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=status))
    handle = await stack.emit()
    with pytest.raises(DeliveryFailed) as failed:
        await handle.result()
    assert [request.call for request in stack.calls()] == ["identify"]
    assert not stack.sim.events
    [delivery] = failed.value.result["deliveries"]
    assert delivery["rule"] == rule.id
    assert delivery["identify"]["status_code"] == status
    assert delivery["identify"]["outcome_code"] == "rejected_client_error"
    assert delivery["track"] is None
    assert (await stack.log(handle)).deliveries[0].track is None


async def test_failed_track_leaves_identify_on_record(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("track", fault=Fault(status=400))
    log = await stack.ended(await stack.emit())
    [delivery] = log.deliveries
    assert log.status == delivery.status == "failed"
    assert delivery.identify is not None
    assert delivery.identify.outcome_code == "delivered"
    assert delivery.track is not None
    assert delivery.track.outcome_code == "rejected_client_error"
    assert stack.sim.person(id="usr_2048") is not None
