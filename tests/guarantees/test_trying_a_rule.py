"""A test event answers at once whether a rule works: one attempt a step, never held."""

from __future__ import annotations

from delivery.search_attributes import STATE, TEST
from destinations.customerio.simulator import Fault
from tests.integration.stack import Stack


async def test_it_runs_the_rule_named_and_no_other(stack: Stack) -> None:
    connection = await stack.connection()
    rule = await stack.rule(connection, event="something.else", override="Tried")
    await stack.rule(connection)
    handle = await stack.emit(only_rules=[rule.id], test=True)
    result = await handle.result()
    assert [delivery["rule"] for delivery in result["deliveries"]] == [rule.id]
    assert [event.name for event in stack.sim.events] == ["Tried"]
    assert (await stack.log(handle)).test
    described = await stack.client.get_workflow_handle(handle.id).describe()
    assert described.typed_search_attributes[STATE] == TEST


async def test_a_refusal_for_now_is_not_tried_again(stack: Stack) -> None:
    rule = await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503))
    log = await stack.ended(await stack.emit(only_rules=[rule.id], test=True))
    assert log.status == "failed"
    assert [request.call for request in stack.calls()] == ["identify"]
    [delivery] = log.deliveries
    assert delivery.last_error == "rejected_server_error: 503: the server could not answer"
    assert delivery.identify is not None
    assert delivery.identify.next_attempt_at is None


async def test_a_wrong_key_fails_and_a_paused_connection_too(stack: Stack) -> None:
    wrong = await stack.rule(await stack.connection("Wrong", api_key="not-the-key"))
    log = await stack.ended(await stack.emit(only_rules=[wrong.id], test=True))
    assert log.status == "failed"
    assert log.deliveries[0].last_error == "auth_failed: 401: wrong key or wrong region"

    connection = await stack.connection("Paused")
    paused = await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    log = await stack.ended(await stack.emit(only_rules=[paused.id], test=True))
    assert log.status == "failed"
    assert log.deliveries[0].last_error is not None
    assert "the connection is paused" in log.deliveries[0].last_error
    assert len(stack.calls()) == 1
