"""A destination is one folder: those of the tests' own are all there is to add.

Each is connected, given a rule, previewed and delivered to, by API, command line and console.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from temporalio.client import Client
from typer.testing import CliRunner

from starter.cli.connections import connections
from starter.cli.rules import rules
from tests.api.caller import Api, assert_error, open_api
from tests.console.site import open_site, sign_in, token_in
from tests.integration.stack import SECRET, Stack, open_stack
from tests.tiny_destinations import Received, receiver

PAYLOAD = {"email": "test@example.com", "name": "Test"}


@dataclass(frozen=True)
class Tiny:
    """What is entered for a destination, and what arrives there of one event."""

    type: str
    settings: dict[str, str]
    secrets: dict[str, str]
    action: str
    authorization: str
    arrives: tuple[tuple[str, str, Any], ...]


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


NOTES = Tiny(
    "tiny_notes",
    {"scheme": "basic", "user": "ada"},
    {"password": "the-password"},
    "send_note",
    basic("ada", "the-password"),
    (("POST", "/send", {"title": "A note", "urgent": False, "event": "user.signup"}),),
)
PEOPLE = Tiny(
    "tiny_people",
    {},
    {"token": "the-token"},
    "record",
    "Bearer the-token",
    (
        ("POST", "/identify", PAYLOAD),
        ("POST", "/track", {"email": "test@example.com", "event": "user.signup"}),
    ),
)
TAGS = Tiny(
    "tiny_tags",
    {},
    {"token": "the-token"},
    "add_tag",
    "Bearer the-token",
    (
        ("GET", "/people/test@example.com", None),
        ("POST", "/people/7/tags", {"email": "test@example.com", "tag": "user.signup"}),
    ),
)
TINY = pytest.mark.parametrize(
    "one", [NOTES, pytest.param(PEOPLE, marks=pytest.mark.slow), TAGS], ids=lambda one: one.type
)


@pytest_asyncio.fixture
async def stack(tiny: None, temporal: Client, database: str) -> AsyncIterator[Stack]:
    async with open_stack(temporal, database) as stack:
        yield stack


@pytest_asyncio.fixture
async def api(stack: Stack) -> AsyncIterator[Api]:
    async with open_api(stack) as api:
        yield api


@pytest.fixture
def listening() -> Iterator[tuple[str, list[Received]]]:
    with receiver() as listening:
        yield listening


async def delivered(api: Api, one: Tiny, received: list[Received], preview: Any) -> None:
    """An event arrives, as it was previewed, and the log has each call of it."""
    created = await api.emitted({"event": "user.signup", "payload": PAYLOAD})
    event = await api.ended(created["id"])
    assert event["status"] == "completed", event
    assert [(each.method, each.path, each.body) for each in received] == list(one.arrives)
    assert {each.authorization for each in received} == {one.authorization}
    written = {each.path.split("/")[-1]: each.body for each in received if each.method == "POST"}
    assert list(preview.values()) == list(written.values())
    [delivery] = event["rule_events"]
    assert delivery["integration_type"] == one.type
    for call in preview:
        assert delivery[call]["status_code"] == 200


@TINY
async def test_by_api(api: Api, one: Tiny, listening: tuple[str, list[Received]]) -> None:
    address, received = listening
    [shown] = [
        found
        for found in (await api.get("/integrations")).json()["records"]
        if found["type"] == one.type
    ]
    assert one.action in shown["actions"]
    metadata = {"address": address, **one.settings, **one.secrets}
    body = {"workspace": api.stack.workspace, "type": one.type, "name": "Tiny"}
    assert_error(await api.post("/connections", body | {"metadata": {}}), 400, "metadata.address")
    wrong = body | {"metadata": metadata | {"address": "ftp://x"}}
    assert_error(await api.post("/connections", wrong), 400, "metadata.address")
    answer = await api.post("/connections", body | {"metadata": metadata})
    assert answer.status_code == 201, answer.text
    connection = answer.json()["connection"]
    assert connection["metadata"]["address"] == address
    assert not any(secret in answer.text for secret in one.secrets.values())
    fields = (await api.get(f"/connections/{connection['id']}/fields")).json()["fields"]
    assert [field["key"] for field in fields] == shown["actions"][one.action]["fields"]
    rule = {
        "workspace": api.stack.workspace,
        "connection": connection["id"],
        "event": "user.signup",
    }
    wrong = rule | {"metadata": {"action": "track_event"}}
    assert_error(await api.post("/rules", wrong), 400, "metadata.action")
    made = (await api.post("/rules", rule | {"metadata": {"action": one.action}})).json()["rule"]
    preview = (await api.post(f"/rules/{made['id']}/preview", {"payload": PAYLOAD})).json()
    calls = {call: preview[call] for call in ("identify", "track", "send") if preview.get(call)}
    assert received == []
    await delivered(api, one, received, calls)


@TINY
async def test_by_command_line(
    api: Api,
    one: Tiny,
    listening: tuple[str, list[Received]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    address, received = listening
    monkeypatch.setenv("EMITONCE_DATABASE_URL", api.stack.database)
    monkeypatch.setenv("EMITONCE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TEMPORAL_ADDRESS", api.stack.client.service_client.config.target_host)
    keys = base64.b64encode(b"1" * 32).decode()
    monkeypatch.setenv("EMITONCE_CREDENTIAL_KEYS", f"k1:{keys}")
    monkeypatch.setenv("EMITONCE_INSTANCE_SECRET", base64.b64encode(SECRET).decode())

    async def run(*arguments: str, stdin: str = "") -> Any:
        of, *rest = arguments
        ran = await asyncio.to_thread(
            CliRunner().invoke,
            {"connections": connections, "rules": rules}[of],
            [*rest, "--json"],
            input=stdin,
            catch_exceptions=False,
        )
        assert ran.exit_code == 0, ran.output
        return json.loads(ran.stdout)

    sets = [f"--set={key}={value}" for key, value in {"address": address, **one.settings}.items()]
    secrets = [f"--secret={key}" for key in one.secrets]
    place = ("--workspace", api.stack.workspace)
    made = await run(
        *("connections", "create", *place, "--name", "Tiny", "--type", one.type, *sets, *secrets),
        stdin="wrong\n",
    )
    connection = made["connection"]["id"]
    right = "".join(one.secrets.values())
    await run("connections", "update", connection, *secrets, stdin=f"{right}\n")
    rule = await run(
        *("rules", "create", *place, "--connection", connection, "--event", "user.signup")
    )
    assert rule["rule"]["metadata"] == {"action": one.action}
    preview = await run("rules", "preview", rule["rule"]["id"], "--payload", json.dumps(PAYLOAD))
    calls = {call: message["body"] for call, message in preview.items() if call != "warnings"}
    await delivered(api, one, received, calls)


FIELD = re.compile(r'name="(f\.\w+)"')


@TINY
async def test_by_console(api: Api, one: Tiny, listening: tuple[str, list[Received]]) -> None:
    """The forms as a browser without scripts sends them."""
    address, received = listening
    async with (
        open_site(api.stack) as site,
        httpx.AsyncClient(base_url=site.url, follow_redirects=True) as http,
    ):
        await sign_in(http, site.access_key, site.secret_key)
        base = f"/w/{api.stack.workspace}"
        page = await http.get(f"{base}/connections/new", params={"type": one.type})
        entered = {"address": address, **one.settings, **one.secrets}
        assert {f"f.{key}" for key in entered} <= set(FIELD.findall(page.text))
        form = {f"f.{key}": value for key, value in entered.items()}
        form |= {"csrf": token_in(page), "type": one.type, "name": "Tiny"}
        told = await http.post(f"{base}/connections", data=form | {"f.address": "ftp://x"})
        assert "Address must begin with http://" in told.text
        told = await http.post(f"{base}/connections", data=form | {"verify": "1"})
        assert "The credential is right" in told.text
        received.clear()
        saved = await http.post(f"{base}/connections", data=form)
        assert "The connection is saved" in saved.text
        assert not any(secret in saved.text for secret in one.secrets.values())
        connection = saved.url.path.rsplit("/", 1)[-1]
        page = await http.get(f"{base}/rules/new", params={"connection": connection})
        form = {
            "csrf": token_in(page),
            "connection": connection,
            "of": connection,
            "event": "user.signup",
            "action": one.action,
            "payload": json.dumps(PAYLOAD),
            "active": "on",
            "mapping_version": "1",
        }
        rows = re.findall(r'name="(m\.\d+\.dest)" value="(\w+)"', page.text)
        for name, key in rows:
            form |= {name: key, name.replace("dest", "value"): key}
        others = form | {"of": str(uuid.uuid4()), "m.0.dest": "userId", "m.0.value": "id"}
        shown = await http.post(f"{base}/rules", data=others)
        assert "The rule is saved" not in shown.text
        assert "userId" not in shown.text
        shown = (await http.post(f"{base}/rules/form/preview", data=form)).text
        other = await http.post(f"{base}/rules/form/list", data=form)
        assert other.status_code == 404
        posted = [path for method, path, _ in one.arrives if method == "POST"]
        assert shown.count("<figure") == len(posted)
        saved = await http.post(f"{base}/rules", data=form)
        assert "The rule is saved" in saved.text
        stored = await api.stack.catalog.mappings.default(api.stack.organization, connection)
        assert stored is None
        rule = saved.url.path.rsplit("/", 1)[-1]
        preview = (await api.post(f"/rules/{rule}/preview", {"payload": PAYLOAD})).json()
        calls = {call: preview[call] for call in ("identify", "track", "send") if preview.get(call)}
        await delivered(api, one, received, calls)
        [event] = (await api.get("/events")).json()["records"]
        log = (await http.get(f"{base}/events/{event['id']}")).text
        for call in calls:
            assert f"The {call} request" in log
