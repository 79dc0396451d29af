"""Test events and previews: one rule alone, both requests, nothing in the lists."""

from __future__ import annotations

import json
import uuid

import pytest

from destinations.customerio.simulator import Fault
from destinations.registry import FIRST_RELEASE
from tests.api.caller import Api, assert_error, open_api
from tests.integration.stack import SAMPLE, Stack
from tests.operations.processes import command


@pytest.fixture
def api(tenant: Api) -> Api:
    return tenant


async def test_test_event_returns_both_requests_and_responses(api: Api):
    rule = await api.stack.rule(override="Signed Up")
    await api.stack.rule(await api.stack.connection("Other"))
    answer = await api.post(f"/rules/{rule.id}/test", {"payload": SAMPLE})
    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert (result["status"], result["finished"]) == ("completed", True)
    identify, track = api.stack.calls()
    assert result["identify"]["request"] == identify.body
    assert result["track"]["request"] == track.body
    assert track.body["event"] == "Signed Up"
    for call in ("identify", "track"):
        assert result[call]["response"]["status_code"] == 200
        assert result[call]["outcome_code"] == "delivered"
    assert result["rule_event"]["rule"] == rule.id
    assert (await api.event(result["event_id"]))["test"] is True
    assert (await api.get("/events")).json()["records"] == []


async def test_test_event_is_tried_once_and_needs_no_body(api: Api):
    rule = await api.stack.rule()
    await api.call("PATCH", f"/rules/{rule.id}", {"active": False})
    api.stack.sim.fail("identify", fault=Fault(status=503, body="try later"))
    result = (await api.post(f"/rules/{rule.id}/test")).json()
    assert (result["status"], result["finished"]) == ("failed", True)
    assert result["identify"]["response"] == {"status_code": 503, "body": "try later"}
    assert result["track"] is None
    assert result["error"].startswith("rejected_server_error")
    assert len(api.stack.calls()) == 1


async def test_preview_builds_what_would_be_sent_and_sends_nothing(api: Api):
    rule = await api.stack.rule(override="Signed Up")
    preview = (await api.post(f"/rules/{rule.id}/preview", {"payload": SAMPLE})).json()
    assert preview["matches"] is True
    assert preview["identify"]["userId"] == "usr_2048"
    assert preview["identify"]["traits"]["plan"] == "pro"
    assert preview["track"]["event"] == "Signed Up"
    assert preview["warnings"] == []
    other = {"payload": SAMPLE, "event": "another"}
    assert (await api.post(f"/rules/{rule.id}/preview", other)).json()["matches"] is False
    assert api.stack.calls() == []


async def test_the_command_line_previews_what_the_api_previews(stack: Stack):
    async with open_api(stack) as api:
        rule = await api.stack.rule(override="Signed Up", resource="list", seats="7")
        payload = {"email": "test@example.com", "plan": "pro"}
        shown = (await api.post(f"/rules/{rule.id}/preview", {"payload": payload})).json()
        printed = await command(
            api.stack, "rules", "preview", rule.id, "--payload", json.dumps(payload), "--json"
        )
        of_command = json.loads(printed.out)
        of_the_moment = {"timestamp", "messageId"}
        for call in ("identify", "track"):
            assert {k: v for k, v in shown[call].items() if k not in of_the_moment} == {
                k: v for k, v in of_command[call]["body"].items() if k not in of_the_moment
            }
        assert shown["warnings"] == of_command["warnings"]
        assert shown["warnings"][0].startswith("metadata.seats is kept but not read")


async def test_event_properties_are_chosen_over_the_api_and_by_the_command_line(stack: Stack):
    async with open_api(stack) as api:
        connection = await api.stack.connection()
        body = {
            "workspace": api.stack.workspace,
            "connection": connection.id,
            "event": "order.paid",
            "metadata": {"action": "track_event", "track_properties": ["plan"]},
        }
        by_api = (await api.post("/rules", body)).json()["rule"]
        assert by_api["metadata"]["track_properties"] == ["plan"]
        where = ("--workspace", api.stack.workspace, "--connection", connection.id)
        chosen = ("--event", "order.paid", "--set", "track_properties=plan, total", "--json")
        made = await command(api.stack, "rules", "create", *where, *chosen)
        by_command = json.loads(made.out)["rule"]
        assert by_command["metadata"]["track_properties"] == ["plan", "total"]
        payload = {"payload": {**SAMPLE, "total": 49.9}}
        sent = [
            (await api.post(f"/rules/{rule['id']}/preview", payload)).json()["track"]["properties"]
            for rule in (by_api, by_command)
        ]
        assert sent == [{"plan": "pro"}, {"plan": "pro", "total": 49.9}]
        body["metadata"]["track_properties"] = 7
        refused = await api.post("/rules", body)
        assert_error(refused, 400, "metadata.track_properties")


async def test_preview_is_made_by_the_build_that_the_fleet_would_use(api: Api):
    rule = await api.stack.rule()
    body = {"payload": {"userId": " usr_2048 "}}
    assert (await api.post(f"/rules/{rule.id}/preview", body)).json()["track"][
        "userId"
    ] == "usr_2048"
    await api.stack.catalog.workers.beat(uuid.uuid4(), FIRST_RELEASE)
    assert (await api.post(f"/rules/{rule.id}/preview", body)).json()["track"][
        "userId"
    ] == " usr_2048 "


async def test_preview_says_what_can_not_be_mapped(api: Api):
    rule = await api.stack.rule()
    body = {"payload": {"userId": "u" * 200}}
    preview = (await api.post(f"/rules/{rule.id}/preview", body)).json()
    assert preview["identify"] is preview["track"] is None
    assert preview["error"].startswith("mapping_error: userId")
    warned = {"payload": {"userId": "usr_1", "cio_id": "x"}}
    preview = (await api.post(f"/rules/{rule.id}/preview", warned)).json()
    assert preview["warnings"]


async def test_bad_trials_are_refused(api: Api):
    rule = await api.stack.rule()
    for path in (f"/rules/{rule.id}/test", f"/rules/{rule.id}/preview"):
        for body, param in (
            ({"payload": []}, "payload"),
            ({"payloads": {}}, "payloads"),
            ({"event": ""}, "event"),
            ({"event": "a@example.com"}, "event"),
            ({"timestamp": "now"}, "timestamp"),
        ):
            assert_error(await api.post(path, body), 400, param)
        assert_error(await api.call("POST", path, content=b"[]"), 400, "body")
    for path in ("test", "preview"):
        assert_error(await api.post(f"/rules/{uuid.uuid4()}/{path}"), 404, "rule_id")
    assert api.stack.calls() == []
