"""Retrying and canceling: what was tried before stays on record."""

from __future__ import annotations

from dataclasses import replace

from destinations.customerio.simulator import Fault
from starter.api.auth import Caller
from starter.api.reading import read_own_event
from starter.api.retrying import retry
from tests.api.caller import Api, assert_error, dependencies_of


async def attempts(api: Api, event: str, rule: str) -> list[tuple[str, int, str]]:
    page = (await api.get(f"/events/{event}/rules/{rule}/attempts")).json()
    return [(one["call"], one["number"], one["outcome_code"]) for one in page["records"]]


async def test_retry_of_a_failed_event_keeps_earlier_attempts(api: Api):
    rule = await api.stack.rule()
    api.stack.sim.fail("identify", fault=Fault(status=400), times=1)
    event = await api.ended((await api.emitted())["id"])
    answer = await api.post(f"/events/{event['id']}/rules/{rule.id}/retry")
    assert answer.status_code == 200
    again = answer.json()
    assert (again["id"], again["event_id"]) == (event["rule_events"][0]["id"], event["id"])
    ended = await api.ended(event["id"])
    assert ended["status"] == "completed"
    assert ended["created_at"] == event["created_at"]
    assert ended["created_by"] == event["created_by"]
    assert await attempts(api, event["id"], rule.id) == [
        ("identify", 1, "rejected_client_error"),
        ("identify", 2, "delivered"),
        ("track", 1, "delivered"),
    ]
    assert_error(await api.post(f"/events/{event['id']}/rules/{rule.id}/retry"), 409)


async def test_retry_of_what_was_read_just_before_its_event_ended_delivers_again(api: Api):
    rule = await api.stack.rule()
    api.stack.sim.fail("identify", fault=Fault(status=400), times=1)
    event = await api.ended((await api.emitted())["id"])
    parts, organization = dependencies_of(api.stack), api.stack.organization
    caller = Caller("test", frozenset(), organization)
    own = await read_own_event(parts, caller, event["id"])
    await retry(parts, caller, replace(own, open=True), rule.id)
    assert (await api.ended(event["id"]))["status"] == "completed"


async def test_retry_of_a_waiting_delivery_makes_the_next_attempt_now(api: Api):
    rule = await api.stack.rule()
    api.stack.sim.fail("identify", fault=Fault(status=503, headers={"Retry-After": "600"}), times=1)
    created = await api.emitted()
    waiting = await api.reached(created["id"], "retrying")
    assert waiting["rule_events"][0]["identify"]["next_attempt_at"]
    answer = await api.post(f"/events/{created['id']}/rules/{rule.id}/retry")
    assert answer.status_code == 200, answer.text
    ended = await api.ended(created["id"])
    assert ended["status"] == "completed"
    assert (await attempts(api, created["id"], rule.id))[:2] == [
        ("identify", 1, "rejected_server_error"),
        ("identify", 2, "delivered"),
    ]


async def test_retry_is_too_early_while_an_attempt_is_in_flight_or_imminent(api: Api):
    rule = await api.stack.rule()
    api.stack.sim.fail("identify", fault=Fault(delay=3.0), times=1)
    created = await api.emitted()
    await api.reached(created["id"], "processing")
    assert_error(await api.post(f"/events/{created['id']}/rules/{rule.id}/retry"), 425)
    await api.post(f"/events/{created['id']}/cancel")


async def test_retry_of_a_held_delivery_is_a_conflict_and_resuming_goes_on(api: Api):
    rule = await api.stack.rule()
    paused = await api.post(f"/connections/{rule.connection}/pause")
    assert (paused.json()["active"], paused.json()["status"]) == (False, "paused")
    created = await api.emitted()
    held = await api.reached(created["id"], "retrying")
    assert "paused" in held["rule_events"][0]["held"]
    assert_error(await api.post(f"/events/{created['id']}/rules/{rule.id}/retry"), 409)
    assert api.stack.calls() == []
    resumed = await api.post(f"/connections/{rule.connection}/resume")
    assert resumed.json()["active"] is True
    assert (await api.ended(created["id"]))["status"] == "completed"


async def test_new_key_lets_held_deliveries_go_on(api: Api):
    connection = await api.stack.connection(api_key="wrong")
    rule = await api.stack.rule(connection)
    created = await api.emitted()
    await api.reached(created["id"], "retrying")
    shown = (await api.get(f"/connections/{connection.id}")).json()
    assert (shown["active"], shown["inactive_reason"]) == (False, "authentication_invalid")
    body = {"name": "Customer io", "metadata": {"region": "us", "cdpApiKey": "sim-us-key"}}
    answer = await api.call("PUT", f"/connections/{connection.id}", body)
    assert answer.json()["active"] is True
    assert (await api.ended(created["id"]))["status"] == "completed"
    outcomes = [one[2] for one in await attempts(api, created["id"], rule.id)]
    assert outcomes[0] == "auth_failed"
    assert outcomes[-1] == "delivered"


async def test_cancel_of_an_event_makes_no_new_attempt(api: Api):
    rule = await api.stack.rule()
    api.stack.sim.fail("identify", fault=Fault(status=503, headers={"Retry-After": "600"}), times=1)
    created = await api.emitted()
    await api.reached(created["id"], "retrying")
    answer = await api.post(f"/events/{created['id']}/cancel")
    assert answer.status_code == 200
    assert answer.json()["status"] == "canceled"
    [delivery] = answer.json()["rule_events"]
    assert delivery["status"] == "canceled"
    assert delivery["completed_at"] >= delivery["started_at"]
    assert await attempts(api, created["id"], rule.id) == [("identify", 1, "rejected_server_error")]
    assert_error(await api.post(f"/events/{created['id']}/cancel"), 409)
    assert_error(await api.post(f"/events/{created['id']}/rules/{rule.id}/retry"), 409)
    assert len(api.stack.calls()) == 1


async def test_cancel_of_one_delivery_leaves_the_others(api: Api):
    first = await api.stack.rule()
    second = await api.stack.rule(await api.stack.connection("Second"), override="Second")
    api.stack.sim.fail("identify", fault=Fault(status=503, headers={"Retry-After": "600"}), times=1)
    created = await api.emitted()

    def status_of(event: dict, rule: str) -> str:
        return next(d["status"] for d in event["rule_events"] if d["rule"] == rule)

    event = await api.reached(created["id"], "retrying")
    waiting, other = (
        (first.id, second.id) if status_of(event, first.id) == "retrying" else (second.id, first.id)
    )
    answer = await api.post(f"/events/{created['id']}/rules/{waiting}/cancel")
    assert answer.status_code == 200
    assert (answer.json()["rule"], answer.json()["status"]) == (waiting, "canceled")
    ended = await api.ended(created["id"])
    assert ended["status"] == "completed"
    assert status_of(ended, waiting) == "canceled"
    assert status_of(ended, other) == "completed"
    assert_error(await api.post(f"/events/{created['id']}/rules/{waiting}/cancel"), 409)


async def test_steering_takes_no_body_and_any_content_type(api: Api):
    """Meshes' client sends a JSON content type with an empty body."""
    created = await api.emitted()
    await api.ended(created["id"])
    rule = await api.stack.rule()
    answer = await api.post(f"/events/{created['id']}/rules/{rule.id}/retry")
    assert_error(answer, 404, "rule_id")
