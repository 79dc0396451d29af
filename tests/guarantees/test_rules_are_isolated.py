"""Each rule's delivery stands for itself; what one comes to changes nothing for the others."""

from __future__ import annotations

import pytest

from destinations.customerio.simulator import EU_KEY, Fault
from emitonce import DeliveryFailed
from tests.integration.stack import SAMPLE, Stack, waits


async def test_one_fails_while_the_other_completes(stack: Stack) -> None:
    refused = await stack.rule(await stack.connection("US"))
    taken = await stack.rule(await stack.connection("EU", api_key=EU_KEY, region="eu"))
    stack.sim.fail("track", fault=Fault(status=400), region="us")
    handle = await stack.emit()
    with pytest.raises(DeliveryFailed) as failed:
        await handle.result()
    result = failed.value.result
    assert (result["status"], result["total_rules"]) == ("failed", 2)
    assert (result["completed_count"], result["failed_count"]) == (1, 1)
    by_rule = {delivery["rule"]: delivery for delivery in result["deliveries"]}
    assert by_rule[refused.id]["status"] == "failed"
    assert by_rule[refused.id]["error"].startswith("rejected_client_error")
    assert by_rule[taken.id]["status"] == "completed"
    assert [(event.region, event.name) for event in stack.sim.events] == [("eu", "user.signup")]


async def test_one_waits_while_the_other_completes(stack: Stack) -> None:
    await stack.rule(await stack.connection("US"))
    taken = await stack.rule(await stack.connection("EU", api_key=EU_KEY, region="eu"))
    stack.sim.fail(fault=Fault(status=429, headers={"Retry-After": "600"}), region="us")
    handle = await stack.emit()
    log = await stack.log_when(handle, lambda log: log.completed_count == 1)
    assert log.status in ("processing", "retrying")
    assert {d.rule for d in log.deliveries if d.status == "completed"} == {taken.id}
    await stack.client.get_workflow_handle(handle.id).terminate()


async def test_a_mapping_error_of_one_leaves_the_other_alone(stack: Stack) -> None:
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.rule(connection, override="User Deleted")
    log = await stack.ended(await stack.emit())
    assert log.status == "failed"
    assert [delivery.status for delivery in log.deliveries] == ["completed", "failed"]
    assert log.deliveries[1].last_error is not None
    assert log.deliveries[1].last_error.startswith("mapping_error")
    assert [request.call for request in stack.calls()] == ["identify", "track"]


async def test_no_matching_rule_completes_with_zero_rules(stack: Stack) -> None:
    await stack.rule(event="another.event")
    await stack.rule(resource="project")
    result = await (await stack.emit()).result()
    assert result["status"] == "completed"
    assert result["total_rules"] == 0
    assert result["deliveries"] == []
    assert not stack.calls()


async def test_a_rule_changed_meanwhile_does_not_change_a_matched_event(stack: Stack) -> None:
    rule = await stack.rule(override="Before")
    stack.sim.fail("identify", fault=Fault(status=503), times=1)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    await stack.catalog.rules.delete(stack.organization, rule.id)
    await handle.result()
    assert [event.name for event in stack.sim.events] == ["Before"]
    assert (await (await stack.emit()).result())["total_rules"] == 0


async def test_a_hundred_rules_and_connections_are_delivered_to(stack: Stack) -> None:
    """As many as may match one event; their ids alone are more than a search attribute holds."""
    rules = [await stack.rule(await stack.connection(f"Number {n}")) for n in range(100)]
    handle = await stack.emit()
    result = await handle.result()
    assert (result["total_rules"], result["completed_count"]) == (100, 100)
    assert {delivery["rule"] for delivery in result["deliveries"]} == {rule.id for rule in rules}
    assert len(stack.calls()) == 200
    assert len({str(request.body["messageId"]) for request in stack.calls()}) == 200


async def test_rules_of_another_workspace_do_not_match(stack: Stack) -> None:
    await stack.rule()
    other = await stack.catalog.workspaces.create(stack.organization, name="Other app")
    result = await (await stack.emitter.emit("user.signup", SAMPLE, workspace=other.id)).result()
    assert result["total_rules"] == 0
    assert not stack.calls()
