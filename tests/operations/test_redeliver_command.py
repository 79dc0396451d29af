"""`emitonce redeliver`: asks before it sends, and says what it did."""

from __future__ import annotations

import json
import uuid

import pytest

from destinations.customerio.simulator import Fault
from tests.integration.stack import Stack
from tests.operations.many import calls_by_person, failed_events, visible
from tests.operations.processes import command


async def test_it_tells_asks_and_redelivers(stack: Stack) -> None:
    await failed_events(stack, 3)
    asked = ["redeliver", "--failed", "--since", "2h", "--workspace", stack.workspace]

    plan = json.loads((await command(stack, *asked, "--dry-run", "--json")).out)
    assert (plan["matched"], len(plan["sample"])) == (3, 3)

    declined = await command(stack, *asked, typed="n\n")
    assert (declined.code, "Redeliver 3 events?" in declined.err) == (4, True)
    assert set(calls_by_person(stack).values()) == {1}

    done = await command(stack, *asked, "--yes", "--json")
    assert done.code == 0, done.err
    status = json.loads(done.out)
    assert (status["state"], status["progress"]["redelivered"]) == ("completed", 3)
    await visible(stack, "ExecutionStatus = 'Completed'", 3)

    watched = await command(stack, "redeliver", "--watch", status["id"])
    assert "completed: 3 redelivered, 0 skipped" in watched.out

    assert "3 delivered, 0 failed again" in watched.out

    again = [argument if argument != "--failed" else "--again" for argument in asked]
    warned = await command(stack, *again, typed="n\n")
    assert "campaigns" in warned.err
    assert warned.code == 4


async def test_those_that_failed_again_are_listed_by_the_command_it_names(stack: Stack) -> None:
    await failed_events(stack, 2)
    stack.sim.fail("identify", fault=Fault(status=400), times=1)
    asked = ["redeliver", "--failed", "--since", "2h", "--workspace", stack.workspace]
    started = await command(stack, *asked, "--yes", "--json")
    id = json.loads(started.out)["id"]
    await visible(stack, "ExecutionStatus = 'Failed'", 3)
    await visible(stack, "ExecutionStatus = 'Completed'", 1)
    watched = await command(stack, "redeliver", "--watch", id)
    assert "1 delivered, 1 failed again" in watched.out
    arguments = ["events", "list", "--workspace", stack.workspace, "--redelivery", id]
    arguments += ["--status", "failed"]
    assert f"emitonce {' '.join(arguments)}" in " ".join(watched.err.split())
    listed = await command(stack, *arguments, "--json")
    assert json.loads(listed.out)["count"] == 1


async def test_it_is_watched_after_what_it_selects_by_was_deleted(stack: Stack) -> None:
    await failed_events(stack, 1)
    [to] = (await stack.catalog.connections.list(stack.organization)).records
    asked = ["redeliver", "--failed", "--since", "2h", "--workspace", stack.workspace]
    started = await command(stack, *asked, "--connection", to.id, "--yes", "--json")
    await stack.catalog.connections.delete(stack.organization, to.id, force=True)
    watched = await command(stack, "redeliver", "--watch", json.loads(started.out)["id"])
    assert (watched.code, "completed: 1 redelivered" in watched.out) == (0, True), watched.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--failed", "--since", "2h", "--workspace", str(uuid.uuid4())], 3, "no workspace"),
        (["--failed", "--since", "1h", "--until", "2h"], 4, "time range is empty"),
        (["--failed", "--since", "1h", "--connection", str(uuid.uuid4())], 3, "no connection"),
        (["--watch", "nothing"], 3, "no such redelivery"),
    ],
)
async def test_bad_requests_get_a_clear_answer(
    shared_stack: Stack, arguments: list[str], code: int, said: str
) -> None:
    if "--workspace" not in arguments and "--watch" not in arguments:
        arguments = [*arguments, "--workspace", shared_stack.workspace]
    ended = await command(shared_stack, "redeliver", *arguments)
    assert ended.code == code, ended.err
    assert said in " ".join(ended.err.split())
