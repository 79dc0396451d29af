"""What belongs to someone else seems not to exist: 404 on every path, and nothing is changed."""

from __future__ import annotations

import uuid

from destinations.customerio.simulator import Fault
from tests.api.caller import Api, assert_error, filled
from tests.integration.stack import SAMPLE


async def test_every_path_is_404_for_a_stranger(api: Api):
    rule = await api.stack.rule()
    api.stack.sim.fail("identify", fault=Fault(status=400))
    event = await api.ended((await api.emitted())["id"])
    attempts = await api.get(f"/events/{event['id']}/rules/{rule.id}/attempts")
    [key] = await api.stack.catalog.publishable_keys.list(api.stack.organization)
    ids = {
        "key_id": key.id,
        "workspace_id": api.stack.workspace,
        "connection_id": rule.connection,
        "rule_id": rule.id,
        "event_id": event["id"],
        "attempt_id": attempts.json()["records"][0]["id"],
    }
    bodies = {
        "update_workspace": {"name": "Taken over"},
        "update_rule": {"active": False},
        "update_connection": {"name": "Taken", "metadata": {"cdpApiKey": "x"}},
        "delete_connection": {"force_delete": True},
        "put_default_mapping": {"schema": {"fields": []}},
        "create_publishable_key": {"name": "Ours now"},
        "put_key_rights": {"events": ["nothing"]},
    }
    stranger = await api.stranger()
    document = (await api.http.get("/openapi.json")).json()
    asked = 0
    for path, operations in document["paths"].items():
        if "{" not in path:
            continue
        for method, operation in operations.items():
            body = bodies.get(operation["operationId"])
            answer = await api.call(
                method, filled(path.removeprefix("/api/v1"), ids), body, machine=stranger
            )
            assert answer.status_code == 404, (method, path, answer.text)
            assert_error(answer, 404)
            asked += 1
    assert asked >= 28
    assert (await api.get(f"/rules/{rule.id}")).json()["active"] is True
    assert (await api.get(f"/connections/{rule.connection}")).json()["name"] == "Customer io"
    assert (await api.event(event["id"]))["status"] == "failed"
    assert len(api.stack.calls()) == 1
    assert await api.stack.catalog.publishable_keys.list(api.stack.organization) == [key]


async def test_lists_show_what_is_ones_own(api: Api):
    await api.stack.rule()
    created = await api.emitted()
    await api.ended(created["id"])
    stranger = await api.stranger()
    for path in ("/workspaces", "/connections", "/rules", "/events"):
        answer = await api.call("GET", path, machine=stranger)
        assert answer.status_code == 200
        assert answer.json()["records"] == []


async def test_a_stranger_can_not_make_things_in_a_workspace_of_ours(api: Api):
    connection = await api.stack.connection()
    stranger = await api.stranger()
    owner = {"workspace": api.stack.workspace}
    for path, body, param in (
        ("/events", {"event": "a", "payload": SAMPLE, **owner}, "workspace"),
        (
            "/connections",
            {
                **owner,
                "type": "customer_io",
                "name": "x",
                "metadata": {"region": "us", "cdpApiKey": "k"},
            },
            "workspace_id",
        ),
        (
            "/rules",
            {
                **owner,
                "connection": connection.id,
                "event": "a",
                "metadata": {"action": "track_event"},
            },
            "workspace_id",
        ),
    ):
        assert_error(await api.call("POST", path, body, machine=stranger), 404, param)


async def test_rule_and_connection_must_share_their_workspace(api: Api):
    connection = await api.stack.connection()
    other = await api.stack.catalog.workspaces.create(api.stack.organization, name="Other app")
    body = {
        "workspace": other.id,
        "connection": connection.id,
        "event": "a",
        "metadata": {"action": "track_event"},
    }
    assert_error(await api.post("/rules", body), 404)


async def test_workflow_that_is_no_event_is_404(api: Api):
    """In the same namespace there may be workflows of others, with any input."""
    id = str(uuid.uuid4())
    await api.stack.client.start_workflow(
        "SomethingElse", {"workspace": api.stack.workspace}, id=id, task_queue="nobody"
    )
    for path in (f"/events/{id}", f"/events/{id}/payload"):
        assert_error(await api.get(path), 404, "event_id")
    assert_error(await api.post(f"/events/{id}/cancel"), 404, "event_id")
    await api.stack.client.get_workflow_handle(id).terminate()
