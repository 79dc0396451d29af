"""Nothing is lost for a connection that is paused or refused, and nothing is sent to it."""

from __future__ import annotations

import pytest

from operations.steering import resume_connection
from tests.integration.stack import SAMPLE, Stack, is_held
from tests.operations.many import LONG, all_ended, calls_by_person, emit_many, visible

MANY = [pytest.param(30, id="30 events"), pytest.param(500, id="500 events", marks=LONG)]
HELD = "EmitonceState = 'held'"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("count", MANY)
async def test_all_wait_while_it_is_paused_and_all_go_on_when_it_is_resumed(
    stack: Stack, count: int
) -> None:
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    handles = await emit_many(stack, (f"person-{number}" for number in range(count)))
    await visible(stack, HELD, count, within=200)
    assert not stack.calls()

    await stack.catalog.connections.resume(stack.organization, connection.id)
    for _ in range(2):  # twice does no harm
        await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
    await all_ended(stack, handles.values(), within=200)
    once = dict.fromkeys(handles, 1)
    assert calls_by_person(stack, "identify") == calls_by_person(stack, "track") == once
    await visible(stack, HELD, 0)


async def test_a_refused_key_holds_them_all_until_it_is_replaced(stack: Stack) -> None:
    connection = await stack.connection(api_key="not-the-key")
    await stack.rule(connection)
    handles = await emit_many(stack, (f"person-{number}" for number in range(30)))
    await visible(stack, HELD, 30)
    refused = len(stack.calls())
    assert {request.status for request in stack.calls()} == {401}

    # Told too early, while the key is still the wrong one, nobody sends.
    await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
    early = await stack.client.get_workflow_handle(f"resume-{connection.id}").result()
    assert early == {"told": 0, "stopped": True}
    assert len(stack.calls()) == refused

    await stack.catalog.connections.update(
        stack.organization, connection.id, fields={"cdpApiKey": "sim-us-key"}
    )
    await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
    await all_ended(stack, handles.values())
    assert len(stack.sim.events) == 30
    assert calls_by_person(stack, "track") == dict.fromkeys(handles, 1)
    assert len(stack.calls()) == refused + 60


async def test_one_that_has_just_become_held_is_told_too(stack: Stack) -> None:
    """Lists show it a moment later, so there is a second look."""
    connection = await stack.connection()
    await stack.rule(connection)
    for number in range(3):
        await stack.catalog.connections.pause(stack.organization, connection.id)
        handle = await stack.emit(payload={**SAMPLE, "userId": f"late-{number}"})
        await stack.log_when(handle, is_held)
        await stack.catalog.connections.resume(stack.organization, connection.id)
        await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
        await all_ended(stack, [handle])
    assert calls_by_person(stack, "track") == {f"late-{number}": 1 for number in range(3)}


@pytest.mark.slow
async def test_thousands_are_told_at_a_pace_and_in_runs_that_stay_short(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.held_runs.PAGE_SECONDS", 0.02)  # a page is one event
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    handles = await emit_many(stack, (f"person-{number}" for number in range(20)))
    await visible(stack, HELD, 20)
    await stack.catalog.connections.resume(stack.organization, connection.id)
    await resume_connection(stack.client, connection.id, task_queue=stack.task_queue, per_second=50)
    await all_ended(stack, handles.values())
    assert len(stack.sim.events) == 20
