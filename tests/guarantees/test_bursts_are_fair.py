"""A burst of one event holds up no other."""

from __future__ import annotations

import pytest
from temporalio.client import Client
from temporalio.common import Priority

from destinations.customerio.simulator import EU_KEY
from emitonce.start import LONGEST_FAIRNESS_KEY, fairness
from tests.integration.stack import SAMPLE, open_stack

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
