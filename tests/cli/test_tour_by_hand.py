"""The product page's tour, command by command, beside a running `emitonce dev`."""

from __future__ import annotations

import json

from tests.cli.conftest import Dev

PAYLOAD = json.dumps({"userId": "usr_1", "email": "test@example.com", "plan": "pro"})


async def test_from_an_empty_workspace_to_a_delivered_event(dev: Dev) -> None:
    workspace = await dev.workspace("By hand")
    connection = await dev.connection(workspace)
    verified = await dev.cli.json("connections", "verify", connection)
    assert verified["verdict"] == "ok"
    rule = await dev.rule(workspace, connection, "--event-name-override", "By Hand")

    preview = await dev.cli.json("rules", "preview", rule, "--payload", PAYLOAD)
    assert preview["identify"]["body"]["traits"] == {"email": "test@example.com", "plan": "pro"}
    assert preview["track"]["body"]["event"] == "By Hand"
    assert await dev.received("By Hand") == []

    tested = await dev.cli.json("rules", "test", rule, "--payload", PAYLOAD)
    assert tested["status"] == "completed"
    assert tested["test"] is True
    of_shops = await dev.rule(workspace, connection, "--resource", "shop")
    tested = await dev.cli.json("rules", "test", of_shops, "--payload", PAYLOAD)
    assert (tested["resource"], tested["created_by"]) == ("shop", "cli")

    emitted = await dev.cli.json(
        *("emit", "--workspace", workspace, "--event", "user.signup", "--wait"),
        *("--payload", PAYLOAD),
    )
    assert emitted["status"] == "completed"
    assert len(await dev.received("By Hand")) == 2

    listed = await dev.cli.json("events", "list", "--workspace", workspace)
    assert [record["id"] for record in listed["records"]] == [emitted["id"]]  # no test events
    shown = await dev.cli.json("events", "show", emitted["id"])
    assert shown["payload"] == json.loads(PAYLOAD)
    assert shown["deliveries"][0]["track"]["attempts"][0]["status_code"] == 200
    assert [r["id"] for r in (await dev.cli.json("connections", "list"))["records"]]


async def test_a_wrong_region_is_told_from_a_wrong_key(dev: Dev) -> None:
    workspace = await dev.workspace("Keys")
    for key, verdict in (("sim-eu-key", "wrong_region"), ("nobodys", "wrong_key")):
        connection = await dev.connection(workspace, key)
        ran = await dev.cli.run("connections", "verify", connection, "--json")
        assert ran.code == 1
        assert ran.json["verdict"] == verdict


async def test_a_wrong_key_holds_the_delivery_until_it_is_replaced(dev: Dev) -> None:
    workspace = await dev.workspace("Replaced")
    connection = await dev.connection(workspace, "outdated")
    await dev.rule(workspace, connection, "--event-name-override", "Replaced")
    emit = ("emit", "--workspace", workspace, "--event", "user.signup", "--payload", PAYLOAD)
    event = (await dev.cli.json(*emit))["event"]["id"]
    while True:
        shown = await dev.cli.json("events", "show", event)
        if shown["deliveries"] and shown["deliveries"][0]["held"]:
            break
    assert shown["status"] == "retrying"
    listed = (await dev.cli.json("connections", "list", "--workspace", workspace))["records"]
    assert listed[0]["inactive_reason"] == "authentication_invalid"
    ran = await dev.cli.run(
        "connections", "update", connection, "--api-key", "-", stdin="sim-us-key\n"
    )
    assert ran.code == 0, ran.err
    while shown["status"] != "completed":
        shown = await dev.cli.json("events", "show", event)
    codes = [a["outcome_code"] for a in shown["deliveries"][0]["identify"]["attempts"]]
    assert codes == ["auth_failed", "delivered"]


async def test_a_failed_event_is_delivered_again_on_request(dev: Dev) -> None:
    workspace = await dev.workspace("Again")
    connection = await dev.connection(workspace)
    await dev.rule(workspace, connection)
    await dev.fail("track", 1, status=400)
    emit = ("emit", "--workspace", workspace, "--event", "user.signup", "--payload", PAYLOAD)
    ran = await dev.cli.run(*emit, "--wait", "--json")
    assert ran.code == 1
    event = ran.json["id"]
    assert (await dev.cli.json("events", "retry", event))["done"] == "redelivered"
    shown = await dev.cli.json("events", "show", event)
    while shown["status"] != "completed":
        shown = await dev.cli.json("events", "show", event)
    assert [a["status_code"] for a in shown["deliveries"][0]["track"]["attempts"]] == [400, 200]


async def test_canceling_ends_an_event_that_waits(dev: Dev) -> None:
    workspace = await dev.workspace("Canceled")
    connection = await dev.connection(workspace)
    await dev.rule(workspace, connection)
    await dev.cli.json("connections", "pause", connection)
    emit = ("emit", "--workspace", workspace, "--event", "user.signup", "--payload", PAYLOAD)
    event = (await dev.cli.json(*emit))["event"]["id"]
    await dev.cli.json("events", "cancel", event)
    shown = await dev.cli.json("events", "show", event)
    while shown["status"] != "canceled":
        shown = await dev.cli.json("events", "show", event)
    assert (await dev.cli.run("events", "cancel", event)).code == 4
