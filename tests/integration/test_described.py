"""In lists, an open event that is retried is told from one in progress and one that is held."""

from __future__ import annotations

from delivery.result import Status
from destinations.customerio.simulator import Fault
from eventlog.described import described, list_described
from eventlog.event_list import list_events
from eventlog.query import EventQuery
from tests.integration.stack import Stack, eventually, is_held, waits


async def test_retried_held_and_waiting_events_are_told_apart(stack: Stack) -> None:
    held = await stack.connection("Held", api_key="not-the-key")
    await stack.rule(held, "held.event")
    await stack.rule(event="retried.event")
    await stack.log_when(await stack.emit("held.event"), is_held)
    stack.sim.fail("identify", fault=Fault(status=503, headers={"Retry-After": "600"}))
    retried = await stack.emit("retried.event")
    log = await stack.log_when(retried, waits)
    await stack.listed(2)
    query = EventQuery((stack.workspace,))

    async def held_is_listed() -> bool:
        page = await list_events(stack.client, query, limit=10)
        return any(event.held for event in page.events)

    await eventually(held_is_listed)
    page = await list_described(stack.client, query, limit=10)
    by_name = {event.event: event for event in page.events}
    assert (by_name["held.event"].status, by_name["held.event"].held) == (Status.RETRYING, True)
    assert by_name["held.event"].next_attempt_at is None
    assert by_name["retried.event"].status is Status.RETRYING
    assert log.deliveries[0].identify is not None
    due = log.deliveries[0].identify.next_attempt_at
    assert due is not None
    assert by_name["retried.event"].next_attempt_at == due

    # What isn't known in time stays as the list has it, in the list's order.
    [newest, _] = (await list_events(stack.client, query, limit=10)).events
    [late] = await described(stack.client, [newest], seconds=0)
    assert (late.event, late.status) == ("retried.event", Status.PROCESSING)
