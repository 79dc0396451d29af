"""A delivery is given up, visibly, when its time is over; holds count, too.

The one constant is made short; what then happens is the server's and the workflow's own doing.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from destinations.customerio.simulator import Fault
from eventlog.log import EventLog
from tests.integration.stack import Stack


@pytest.fixture(autouse=True)
def deadline(monkeypatch: pytest.MonkeyPatch) -> timedelta:
    # Workflows are loaded anew for each run in the sandbox, and read it from here.
    short = timedelta(seconds=2.5)
    monkeypatch.setattr("delivery.outcome.DELIVERY_DEADLINE", short)
    return short


async def given_up(stack: Stack) -> EventLog:
    log = await stack.ended(await stack.emit())
    assert log.status == "failed"
    [delivery] = log.deliveries
    assert delivery.status == "failed"
    assert delivery.last_error is not None
    assert "given up after 72 hours" in delivery.last_error
    return log


async def test_it_ends_when_the_next_attempt_would_come_too_late(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503))
    [delivery] = (await given_up(stack)).deliveries
    assert delivery.last_error is not None
    assert "503" in delivery.last_error
    assert delivery.identify is not None
    assert [a.status_code for a in delivery.identify.attempts] == [503, 503]
    assert delivery.identify.attempts[-1].next_attempt_at is None
    assert delivery.track is None
    assert len(stack.calls()) == 2


async def test_a_retry_after_beyond_it_ends_it_at_once(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("track", fault=Fault(status=429, headers={"Retry-After": "600"}))
    [delivery] = (await given_up(stack)).deliveries
    assert delivery.identify is not None
    assert delivery.identify.outcome_code == "delivered"
    assert delivery.track is not None
    assert [a.outcome_code for a in delivery.track.attempts] == ["rate_limited"]


@pytest.mark.slow
async def test_it_ends_while_a_request_gets_no_answer(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503), times=1)
    stack.sim.fail("identify", fault=Fault(kind="stall"))
    [delivery] = (await given_up(stack)).deliveries
    assert delivery.identify is not None
    assert [a.status_code for a in delivery.identify.attempts] == [503]
    assert len(stack.calls()) == 2
    await stack.sim.refuse_connections("us")  # so that nobody waits for that answer


@pytest.mark.slow
async def test_it_ends_while_the_connection_holds_it(stack: Stack) -> None:
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    [delivery] = (await given_up(stack)).deliveries
    assert delivery.last_error is not None
    assert "the connection is paused" in delivery.last_error
    assert delivery.held is None
    assert not stack.calls()
