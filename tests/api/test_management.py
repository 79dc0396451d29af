"""Workspaces, connections, rules: a test per path, in Meshes' shapes."""

from __future__ import annotations

import re
import uuid

import pytest

from catalog.worker_share import WorkerShare
from destinations.registry import BY_TYPE, FIRST_RELEASE
from tests.api.caller import Api, assert_error, is_uuid, new_connection, new_rule
from tests.integration.stack import SAMPLE

PUBLISHABLE = re.compile(r"^mesh_pub_([A-Za-z0-9\-.]+)_([A-Za-z0-9\-.]+)_([^_]+)$")


async def test_workspaces(api: Api):
    answer = await api.post("/workspaces", {"name": "New app", "description": "One"})
    assert answer.status_code == 201
    made = answer.json()["workspace"]
    assert is_uuid(made["id"])
    assert (made["name"], made["description"]) == ("New app", "One")
    one = (await api.get(f"/workspaces/{made['id']}")).json()
    key = one.pop("publishable_key")
    assert one == made
    assert PUBLISHABLE.match(key["public_key"])
    assert key["name"] == "Default"
    page = (await api.get("/workspaces")).json()
    assert page == {
        "count": 2,
        "limit": 50,
        "next_cursor": None,
        "records": [made, page["records"][1]],
    }
    changed = (await api.call("PUT", f"/workspaces/{made['id']}", {"name": "Renamed"})).json()
    assert (changed["name"], changed["description"]) == ("Renamed", "One")
    body = {"name": "Renamed", "description": None}
    changed = (await api.call("PUT", f"/workspaces/{made['id']}", body)).json()
    assert changed["description"] is None
    assert_error(await api.post("/workspaces", {"name": "Renamed"}), 409)
    path = f"/workspaces/{made['id']}"
    assert_error(await api.call("PUT", path, {"name": "Acme app"}), 409)
    assert_error(await api.get(f"/workspaces/{uuid.uuid4()}"), 404, "workspace_id")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": "ab"}, "name"),
        ({"name": "x" * 51}, "name"),
        ({"name": "näme"}, "name"),
        ({"name": 7}, "name"),
        ({"name": "name\n"}, "name"),
        ({"name": "fine", "description": 7}, "description"),
        ({"name": "fine", "description": "x" * 1_025}, "description"),
    ],
)
async def test_bad_workspace_is_refused(shared_api: Api, body: dict, param: str):
    assert_error(await shared_api.post("/workspaces", body), 400, param)
    assert_error(
        await shared_api.call("PUT", f"/workspaces/{shared_api.stack.workspace}", body), 400, param
    )


async def test_event_types_and_resources_are_bare_arrays(api: Api):
    base = f"/workspaces/{api.stack.workspace}"
    assert (await api.get(f"{base}/event-types")).json() == []
    await api.post("/rules", await new_rule(api, resource="account"))
    [event_type] = (await api.get(f"{base}/event-types")).json()
    [resource] = (await api.get(f"{base}/resources")).json()
    assert (event_type["key"], event_type["label"]) == ("user.signup", "user.signup")
    assert resource["key"] == "account"
    assert {"id", "description", "active", "created_by", "created_at"} <= set(resource)
    for path in ("event-types", "resources"):
        assert_error(await api.get(f"/workspaces/{uuid.uuid4()}/{path}"), 404, "workspace_id")


async def test_connections(api: Api):
    answer = await api.post("/connections", new_connection(api, hidden=True))
    assert answer.status_code == 201
    made = answer.json()["connection"]
    assert is_uuid(made["id"])
    assert made["metadata"] == {"region": "us"}
    assert (made["active"], made["hidden"], made["type"]) == (True, True, "customer_io")
    assert "inactive_reason" not in made
    assert (await api.get(f"/connections/{made['id']}")).json() == made
    page = (await api.get("/connections")).json()
    assert (page["count"], page["records"], page["next_cursor"]) == (1, [made], None)
    path = f"/workspaces/{api.stack.workspace}/connections"
    assert (await api.get(path)).json() == page
    assert_error(await api.get(f"/workspaces/{uuid.uuid4()}/connections"), 404, "workspace_id")
    body = {"name": "Renamed", "metadata": {"region": "eu"}}
    changed = (await api.call("PUT", f"/connections/{made['id']}", body)).json()
    assert (changed["name"], changed["metadata"]) == ("Renamed", {"region": "eu"})
    assert changed["hidden"] is True
    credential = await api.stack.catalog.credentials.credential(api.stack.workspace, made["id"])
    assert credential.secrets["cdpApiKey"].get_secret_value() == "sim-us-key"
    assert (await api.get(f"/connections/{made['id']}/actions")).json() == {"track_event": {}}
    gone = await api.call("DELETE", f"/connections/{made['id']}")
    assert (gone.status_code, gone.json()) == (200, {"id": made["id"], "type": "customer_io"})
    assert_error(await api.get(f"/connections/{made['id']}"), 404, "connection_id")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"workspace": None}, "workspace"),
        ({"workspace": 7}, "workspace"),
        ({"type": "pipedrive"}, "type"),
        ({"type": None}, "type"),
        ({"name": ""}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"metadata": None}, "metadata"),
        ({"metadata": {}}, "metadata.region"),
        ({"metadata": {"region": "mars", "cdpApiKey": "k"}}, "metadata.region"),
        ({"metadata": {"region": "us"}}, "metadata.cdpApiKey"),
        ({"metadata": {"region": "us", "cdpApiKey": ""}}, "metadata.cdpApiKey"),
        ({"metadata": {"region": "us", "cdpApiKey": "a:b"}}, "metadata.cdpApiKey"),
        ({"metadata": {"region": "us", "cdpApiKey": "a b"}}, "metadata.cdpApiKey"),
        ({"metadata": {"region": "us", "cdpApiKey": "a" * 201}}, "metadata.cdpApiKey"),
        ({"hidden": "yes"}, "hidden"),
    ],
)
async def test_bad_connection_is_refused(shared_api: Api, changes: dict, param: str):
    before = (await shared_api.get("/connections")).json()
    body = new_connection(shared_api, **changes)
    assert_error(await shared_api.post("/connections", body), 400, param)
    assert (await shared_api.get("/connections")).json() == before


async def test_connection_with_active_rules_is_deleted_by_force_alone(api: Api):
    body = await new_rule(api)
    rule = (await api.post("/rules", body)).json()["rule"]
    path = f"/connections/{body['connection']}"
    for given in (None, {}, {"force_delete": False}):
        assert_error(await api.call("DELETE", path, given), 409)
    assert_error(await api.call("DELETE", path, {"force_delete": "yes"}), 400, "force_delete")
    assert (await api.call("DELETE", path, {"force_delete": True})).status_code == 200
    assert_error(await api.get(f"/rules/{rule['id']}"), 404, "rule_id")


async def test_rules(api: Api):
    body = await new_rule(api, resource="account", resource_id="acc_7", hidden=True)
    body["metadata"] = {"action": "track_event", "event_name_override": "Signed Up", "own": "x"}
    answer = await api.post("/rules", body)
    assert answer.status_code == 201
    made = answer.json()["rule"]
    assert is_uuid(made["id"])
    assert {name: made[name] for name in body} == body
    assert (made["type"], made["active"]) == ("customer_io", True)
    any_resource = (await api.post("/rules", await new_rule(api, active=False))).json()["rule"]
    assert "resource" not in any_resource
    assert "resource_id" not in any_resource
    assert any_resource["active"] is False
    assert (await api.get(f"/rules/{made['id']}")).json() == made
    for path in ("/rules", f"/workspaces/{api.stack.workspace}/rules"):
        page = (await api.get(path)).json()
        assert (page["count"], page["records"]) == (2, [any_resource, made])
        for params in ({"resource": "account"}, {"resource_id": "acc_7"}):
            assert (await api.get(path, **params)).json()["records"] == [made]
        assert (await api.get(path, event="other")).json()["records"] == []
        first = (await api.get(path, limit=1)).json()
        second = (await api.get(path, limit=1, cursor=first["next_cursor"])).json()
        assert [first["records"], second["records"]] == [[any_resource], [made]]
        assert_error(await api.get(path, cursor="x"), 400, "cursor")
    assert_error(await api.get(f"/workspaces/{uuid.uuid4()}/rules"), 404, "workspace_id")
    gone = await api.call("DELETE", f"/rules/{made['id']}")
    assert gone.status_code == 200
    assert gone.json() == {
        name: made[name]
        for name in ("id", "connection", "event", "type", "resource", "resource_id")
    }
    assert_error(await api.call("DELETE", f"/rules/{made['id']}"), 404, "rule_id")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"workspace": None}, "workspace"),
        ({"connection": None}, "connection"),
        ({"event": ""}, "event"),
        ({"event": 7}, "event"),
        ({"event": "x" * 101}, "event"),
        ({"metadata": {}}, "metadata.action"),
        ({"metadata": {"action": "identify"}}, "metadata.action"),
        ({"metadata": {"action": "track_event", "on_limit": "x"}}, "metadata.on_limit"),
        ({"metadata": {"action": "track_event", "x": "y" * 17_000}}, "metadata"),
        ({"resource": ""}, "resource"),
        ({"resource_id": "a b"}, "resource_id"),
        ({"resource_id": "x" * 65}, "resource_id"),
        ({"active": "true"}, "active"),
    ],
)
async def test_bad_rule_is_refused(shared_api: Api, changes: dict, param: str):
    assert_error(await shared_api.post("/rules", await new_rule(shared_api, **changes)), 400, param)
    assert (await shared_api.get("/rules")).json()["records"] == []


async def test_rule_is_changed_in_place(api: Api):
    made = (await api.post("/rules", await new_rule(api, resource="account"))).json()["rule"]
    path = f"/rules/{made['id']}"
    paused = (await api.call("PATCH", path, {"active": False})).json()
    assert paused | {"updated_at": ""} == made | {"active": False, "updated_at": ""}
    event = await api.ended((await api.emitted())["id"])
    assert event["total_rules"] == 0
    change = {
        "active": True,
        "resource": None,
        "event": "user.joined",
        "metadata": {"action": "track_event", "event_name_override": "Joined"},
    }
    changed = (await api.call("PATCH", path, change)).json()
    assert "resource" not in changed
    assert {name: changed[name] for name in ("active", "event", "metadata")} == {
        name: change[name] for name in ("active", "event", "metadata")
    }
    await api.ended((await api.emitted({"event": "user.joined", "payload": SAMPLE}))["id"])
    assert api.stack.calls()[1].body["event"] == "Joined"
    for body, param in (
        ({"activ": True}, "activ"),
        ({"active": None}, "active"),
        ({"event": None}, "event"),
        ({"metadata": {}}, "metadata.action"),
        ({"connection": made["connection"]}, "connection"),
    ):
        assert_error(await api.call("PATCH", path, body), 400, param)
    assert_error(await api.call("PATCH", f"/rules/{uuid.uuid4()}", {}), 404, "rule_id")


async def test_more_rules_than_one_event_may_match_are_a_conflict(api: Api):
    body = await new_rule(api)
    for _ in range(100):
        assert (await api.post("/rules", body)).status_code == 201
    assert_error(await api.post("/rules", body), 409)
    inactive = (await api.post("/rules", body | {"active": False})).json()["rule"]
    assert_error(await api.call("PATCH", f"/rules/{inactive['id']}", {"active": True}), 409)


async def test_flags_in_rule_metadata_are_read_as_text_too(api: Api):
    body = await new_rule(api)
    text = {"action": "track_event", "allow_commands": "true", "send_nulls": "false"}
    rule = (await api.post("/rules", body | {"metadata": text})).json()["rule"]
    assert rule["metadata"] == {
        "action": "track_event",
        "allow_commands": True,
        "send_nulls": False,
    }
    for wrong in ("yes", 1, None):
        given = body | {"metadata": {"action": "track_event", "send_nulls": wrong}}
        assert_error(await api.post("/rules", given), 400, "metadata.send_nulls")


async def test_rule_metadata_that_nothing_reads_is_kept_and_named(api: Api):
    body = await new_rule(api)
    metadata = {"action": "track_event", "event_name_overide": "Signed Up"}
    rule = (await api.post("/rules", body | {"metadata": metadata})).json()["rule"]
    assert rule["metadata"] == metadata
    [warning] = rule["warnings"]
    assert warning.startswith("metadata.event_name_overide is kept but not read: only action, ")
    assert (await api.get(f"/rules/{rule['id']}")).json()["warnings"] == [warning]
    mended = {"metadata": {"action": "track_event", "event_name_override": "Signed Up"}}
    assert "warnings" not in (await api.call("PATCH", f"/rules/{rule['id']}", mended)).json()


async def test_what_is_wrong_is_said_in_plain_words(api: Api):
    answer = await api.post("/rules", await new_rule(api) | {"event": 7, "hidden": 2})
    told = {fault["param"]: fault["msg"] for fault in answer.json()["error"]["data"]}
    assert told == {
        "event": "must be a string, not a number",
        "hidden": "must be true or false, not a number",
    }
    of_limit = (await api.get("/events", limit="many")).json()["error"]["message"]
    assert of_limit == "limit: must be a whole number"


async def test_what_a_running_worker_does_not_know_is_neither_offered_nor_made(api: Api):
    hook = {"type": "webhook", "metadata": {"url": "https://example.com/hook"}}
    body = new_connection(api, skip_test=True, **hook)
    async with WorkerShare(api.stack.catalog.workers, knows=FIRST_RELEASE).kept():
        offered = (await api.get("/integrations")).json()
        assert [one["type"] for one in offered["records"]] == ["customer_io"]
        assert_error(await api.post("/connections", body), 409)
    assert (await api.post("/connections", body)).status_code == 201


async def test_integrations_and_retry_policy(api: Api):
    page = (await api.get("/integrations")).json()
    integration, webhook, *_ = page["records"]
    assert integration["authentication"] == {
        "type": "api_key",
        "fields": [
            {
                "label": "Region",
                "key": "region",
                "type": "select",
                "helpText": "Where the Customer.io account is.",
                "required": True,
                "options": [
                    {"label": "United States", "value": "us"},
                    {"label": "European Union", "value": "eu"},
                ],
            },
            {
                "label": "CDP API key",
                "key": "cdpApiKey",
                "type": "password",
                "helpText": "Of an HTTP or server source in Customer.io's Data & Integrations.",
                "required": True,
            },
        ],
    }
    assert list(integration["actions"]) == ["track_event"]
    assert webhook["actions"]["send_webhook"]["fields"] == []
    password = next(
        field for field in webhook["authentication"]["fields"] if field["key"] == "auth_password"
    )
    assert password["dependsOn"] == {"field": "auth_scheme", "value": ["basic"]}
    policy = (await api.get("/retry-policy")).json()
    assert policy["waits_seconds"][:4] == [1, 2, 4, 8]
    assert policy["waits_seconds"][-1] == policy["backoff"]["longest_seconds"] == 900
    assert policy["deadline_seconds"] == 72 * 3_600
    sooner = {
        (one["type"], one["action"]): one["deadline_seconds"] for one in policy["action_deadlines"]
    }
    for type, destination in BY_TYPE.items():
        for action in destination.actions:
            given_up = sooner.get((type, action.key), policy["deadline_seconds"])
            assert given_up == action.deadline.total_seconds(), (type, action.key)


async def test_health(api: Api):
    assert (await api.http.get("/healthz")).json() == {"status": "ok"}
    ready = await api.http.get("/readyz")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ok", "temporal": "ok", "database": "ok"},
    )
