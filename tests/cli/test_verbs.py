"""What can be made can be shown, changed and deleted; answers are the API's own objects."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from emitonce.machine_key import MachineKey
from tests.cli.command import PROGRAM, environment
from tests.cli.conftest import Dev

NAMED = {
    "schema_version": 1,
    "fields": [{"dest": "userId", "source": {"type": "path", "value": "user.id"}}],
}


async def test_a_connection_is_shown_and_deleted(dev: Dev) -> None:
    workspace = await dev.workspace("Verbs connection")
    connection = await dev.connection(workspace)
    await dev.rule(workspace, connection)
    asked = await dev.cli.run("connections", "delete", connection)
    assert (asked.code, "--yes" in asked.err) == (4, True)
    busy = await dev.cli.run("connections", "delete", connection, "--yes")
    assert (busy.code, "active rules" in busy.err) == (4, True)
    gone = await dev.cli.json("connections", "delete", connection, "--yes", "--force")
    assert gone == {"id": connection, "type": "customer_io"}
    assert (await dev.cli.run("connections", "show", connection)).code == 3


async def test_a_rule_is_changed_disabled_and_deleted(dev: Dev) -> None:
    workspace = await dev.workspace("Verbs rule")
    rule = await dev.rule(
        workspace, await dev.connection(workspace), "--event-name-override", "Signed Up"
    )
    assert (await dev.cli.run("rules", "update", rule)).code == 2
    changed = await dev.cli.json(
        *("rules", "update", rule, "--resource", "app", "--set", "on_limit=drop")
    )
    assert changed["resource"] == "app"
    assert changed["metadata"] == {
        "action": "track_event",
        "event_name_override": "Signed Up",
        "on_limit": "drop",
    }
    changed = await dev.cli.json("rules", "update", rule, "--resource", "", "--set", "on_limit=")
    assert "resource" not in changed
    assert "on_limit" not in changed["metadata"]
    assert (await dev.cli.json("rules", "disable", rule))["active"] is False
    assert (await dev.cli.json("rules", "enable", rule))["active"] is True
    assert (await dev.cli.run("rules", "delete", rule)).code == 4
    assert (await dev.cli.json("rules", "delete", rule, "--yes"))["id"] == rule
    assert (await dev.cli.run("rules", "show", rule)).code == 3


async def test_a_mapping_is_stored_unless_somebody_else_was_first(dev: Dev) -> None:
    connection = await dev.connection(await dev.workspace("Verbs mapping"))
    generated = await dev.cli.json("mappings", "get", connection)
    assert generated["status"] == "generated"
    write = ("mappings", "set", connection, "--schema", json.dumps(NAMED))
    stored = await dev.cli.json(*write, "--expected-version", "1")
    assert stored["mapping"]["schema"] == NAMED
    assert await dev.cli.json("mappings", "get", connection) == stored
    assert (await dev.cli.run(*write, "--expected-version", "1")).code == 4
    wrong = await dev.cli.run("mappings", "set", connection, "--schema", '{"fields": [{}]}')
    assert (wrong.code, "fields.0.dest" in wrong.err) == (2, True)


async def test_a_simulator_fails_for_as_long_as_it_is_told(dev: Dev) -> None:
    url = f"{dev.ready['simulator']}/v1/identify"
    auth = httpx.BasicAuth("sim-us-key", "")
    body = {"userId": "usr_1", "messageId": "m"}

    async def answer() -> int:
        async with httpx.AsyncClient() as http:
            return (await http.post(url, json=body, auth=auth)).status_code

    told = await dev.cli.run("simulator", "fault", "503", "--for", "1h")
    assert told.code == 0, told.err
    assert await answer() == 503
    assert (await dev.cli.run("simulator", "clear")).code == 0
    assert await answer() == 200
    unknown = await dev.cli.run("simulator", "fault", "503", "--call", "nothing")
    assert (unknown.code, "path: must be" in unknown.err) == (4, True)
    assert (await dev.cli.run("simulator", "fault", "503", "--for", "soon")).code == 2
    elsewhere = await dev.cli.run("simulator", "clear", "--url", "http://127.0.0.1:9")
    assert elsewhere.code == 5


async def test_answers_are_the_api_s_objects(dev: Dev) -> None:
    workspace = await dev.workspace("Verbs objects")
    connection = await dev.connection(workspace)
    rule = await dev.rule(workspace, connection)
    payload = ("--payload", '{"userId": "usr_2048"}')
    event = (
        await dev.cli.json(
            *("emit", "--workspace", workspace, "--event", "user.signup", *payload, "--wait")
        )
    )["id"]
    made = await dev.cli.json("keys", "create", "machine", "--name", "Reader")
    key = MachineKey(made["organization"], made["access_key"], made["secret_key"])
    for command, path in (
        (("workspaces", "list"), "/workspaces?limit=200"),
        (
            ("connections", "list", "--workspace", workspace),
            f"/workspaces/{workspace}/connections?limit=200",
        ),
        (("connections", "show", connection), f"/connections/{connection}"),
        (("rules", "list", "--workspace", workspace), f"/workspaces/{workspace}/rules?limit=200"),
        (("rules", "show", rule), f"/rules/{rule}"),
        (("mappings", "get", connection), f"/connections/{connection}/mappings/default"),
        (
            ("events", "list", "--workspace", workspace, "--since", "1h"),
            f"/workspaces/{workspace}/events",
        ),
        (("events", "show", event), f"/events/{event}/payload"),
    ):
        async with httpx.AsyncClient(base_url=f"{dev.ready['http']}/api/v1") as http:
            answer = await http.get(path, headers={"Authorization": f"Bearer {key()}"})
        assert answer.status_code == 200, answer.text
        shown, api = await dev.cli.json(*command), answer.json()
        if command[:2] == ("events", "show"):  # it shows all that the log knows besides
            shown = {name: shown.get(name) for name in api}
        assert shown == api, command


async def test_events_are_listed_by_time_and_followed(dev: Dev) -> None:
    workspace = await dev.workspace("Verbs events")
    listing = ("events", "list", "--workspace", workspace)
    emit = ("emit", "--workspace", workspace, "--event", "user.signup", "--payload", "{}", "--wait")
    tail = await asyncio.create_subprocess_exec(
        *(*PROGRAM, "events", "tail", "--workspace", workspace, "--since", "1m", "--json"),
        stdout=asyncio.subprocess.PIPE,
        env=environment(dev.cli.data_dir),
        cwd=dev.cli.data_dir,
    )
    assert tail.stdout is not None
    event = (await dev.cli.json(*emit))["id"]
    statuses = []
    async with asyncio.timeout(30):
        while "completed" not in statuses:
            told = json.loads(await tail.stdout.readline())
            assert told["id"] == event
            statuses.append(told["status"])
    tail.terminate()
    await tail.communicate()
    for more, count in (
        (("--since", "1h"), 1),
        (("--since", "1h", "--until", "30m"), 0),
        (("--failed",), 0),
    ):
        assert (await dev.cli.json(*listing, *more))["count"] == count
    piped = await dev.cli.run(*listing, COLUMNS="80")
    [line] = piped.out.splitlines()
    assert line.split("\t")[-1] == event


@pytest.mark.parametrize("more", [(), ("--json",)])
async def test_the_console_s_address_is_printed(dev: Dev, more: tuple[str, ...]) -> None:
    workspace = await dev.workspace(f"Verbs open {len(more)}")
    ran = await dev.cli.run("open", *more, EMITONCE_WORKSPACE=workspace)
    url = ran.json["url"] if more else ran.out.strip()
    assert url == f"{dev.ready['http']}/w/{workspace}"
