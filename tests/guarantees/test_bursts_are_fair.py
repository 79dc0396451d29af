"""A burst of one event holds up no other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from temporalio.client import Client
from temporalio.common import Priority

from delivery.selection import Mode, select
from destinations.customerio.simulator import EU_KEY, Fault
from emitonce.start import LONGEST_FAIRNESS_KEY, fairness
from operations.event_redelivery import redeliver
from operations.send_again import send_again
from tests.integration.stack import SAMPLE, Stack, open_stack

BURST = 200
WORKSPACE = "11111111-1111-4111-8111-111111111111"


async def test_an_event_is_delivered_before_most_of_a_burst_that_came_in_before_it(
    temporal: Client, database: str
) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        await stack.rule(await stack.connection("US"), event="of.the.burst")
        europe = await stack.connection("EU", api_key=EU_KEY, region="eu")
        await stack.rule(europe, event="another.event")
        for number in range(BURST):
            await stack.emit("of.the.burst", SAMPLE | {"userId": f"burst-{number}"})
        other = await stack.emit("another.event", SAMPLE | {"userId": "other"})
        async with stack.make_worker():
            await other.result()
        people = list(dict.fromkeys(call.body["userId"] for call in stack.calls() if call.body))
    assert people.index("other") < BURST / 2


async def test_an_event_takes_its_turn_with_its_name_however_often_it_is_delivered(
    stack: Stack,
) -> None:
    async def key(event_id: str) -> str:
        described = await stack.client.get_workflow_handle(event_id).describe()
        return described.raw_info.priority.fairness_key

    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400), times=1)
    handle = await stack.emit()
    log = await stack.ended(handle)
    await redeliver(stack.client, handle.id)
    await handle.result()
    now = datetime.now(UTC)
    chosen = select(stack.workspace, accepted_from=log.accepted_at, now=now, mode=Mode.AGAIN)
    again = await send_again(stack.client, handle.id, chosen)
    assert [await key(handle.id), await key(again)] == [f"{stack.workspace}/user.signup"] * 2


@pytest.mark.parametrize("event", ["user.signup", "é" * 50, "名" * 33])
def test_a_fairness_key_fits_and_names_workspace_and_event(event: str) -> None:
    key = fairness(WORKSPACE.upper(), event).fairness_key
    assert key is not None
    assert len(key.encode()) <= LONGEST_FAIRNESS_KEY
    assert f"{WORKSPACE}/{event}".startswith(key)
    assert key.startswith(f"{WORKSPACE}/{event[:5]}")


@pytest.mark.parametrize("event", ["test@example.com", "x" * 101, "two\nlines", ""])
def test_a_name_that_lists_do_not_show_is_no_part_of_the_key(event: str) -> None:
    assert fairness(WORKSPACE, event).fairness_key == f"{WORKSPACE}/"


def test_what_is_no_workspace_is_no_key() -> None:
    assert fairness("test@example.com", "user.signup") == Priority.default
