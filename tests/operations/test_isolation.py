"""One slow connection slows nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from temporalio.client import Client

from destinations.customerio.destination import CUSTOMER_IO
from destinations.customerio.simulator import EU_KEY, Fault, Request
from destinations.mailchimp.simulator import AT_ONCE, KEY, NEWS, MailchimpSimulator
from destinations.registry import BY_TYPE
from tests.integration.stack import Stack, open_stack
from tests.operations.many import all_ended, emit_many


def most_at_once(requests: list[Request]) -> int:
    moments = [(r.received, 1) for r in requests] + [
        (r.answered or r.received, -1) for r in requests
    ]
    under_way = most = 0
    for _, change in sorted(moments):
        under_way += change
        most = max(most, under_way)
    return most


async def test_a_slow_connection_takes_a_fifth_of_a_worker_and_others_go_on(
    temporal: Client, database: str
) -> None:
    async with open_stack(temporal, database, max_activities=10) as stack:

        def to_slow() -> list[Request]:
            return [request for request in stack.sim.requests if request.region == "us"]

        await stack.rule(await stack.connection("Slow"), "slow.event")
        eu = await stack.connection("Quick", api_key=EU_KEY, region="eu")
        await stack.rule(eu, "quick.event")
        stack.sim.fail(fault=Fault(kind="stall"), region="us")
        slow = await emit_many(stack, (f"slow-{n}" for n in range(12)), "slow.event")
        await stack.sim.until(lambda: len(to_slow()) == 2)
        quick = await emit_many(stack, (f"quick-{n}" for n in range(10)), "quick.event")
        await all_ended(stack, quick.values())
        assert len(stack.sim.events) == 10
        assert len(to_slow()) == len(stack.sim.under_way) == 2
        stack.sim.clear_faults()
        await stack.sim.refuse_connections("us")
        await stack.sim.accept_connections("us")
        await all_ended(stack, slow.values())
        assert len(stack.sim.events) == 22


@pytest.mark.slow
async def test_connections_of_one_account_send_no_more_at_once_than_it_accepts(
    stack: Stack,
) -> None:
    mailchimp: MailchimpSimulator = stack.simulators["mailchimp"]
    for name in ("One", "Another"):
        connection = await stack.catalog.connections.create(
            stack.organization,
            workspace=stack.workspace,
            type="mailchimp",
            name=name,
            fields={"api_key": KEY},
            created_by="test",
        )
        await stack.rule(connection, action="add_to_list", id=NEWS)
    mailchimp.fail("member", fault=Fault(delay=0.2))
    await all_ended(stack, (await emit_many(stack, map(str, range(25)))).values())
    assert {request.status for request in mailchimp.requests} == {200}
    assert most_at_once(list(mailchimp.requests)) == AT_ONCE


async def test_a_destination_says_how_many_requests_it_takes_at_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BY_TYPE, CUSTOMER_IO.type, replace(CUSTOMER_IO, in_flight=3))
    await stack.rule()
    stack.sim.fail(fault=Fault(delay=0.2))
    await all_ended(stack, (await emit_many(stack, map(str, range(10)))).values())
    assert most_at_once(list(stack.sim.requests)) == 3
