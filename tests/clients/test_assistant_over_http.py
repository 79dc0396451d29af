"""`/mcp` of the API: who may call it, and what is refused."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from operations.bulk_redelivery import start_redelivery
from starter import mcp
from starter.api.failed_attempts import FAILURES
from starter.mcp.http import add_tools
from tests.api.caller import BASE, Api, Machine, assert_error, open_api
from tests.api.test_access_log import logged
from tests.api.test_sessions import OF_RESOURCE, minted
from tests.clients.assistant import ACCEPT, bearer, called, failed_event, over_http, token
from tests.clients.conftest import ROOT
from tests.conftest import on_server
from tests.integration.stack import Stack, eventually

pytestmark = pytest.mark.slow

PATHS = ("/mcp", "/mcp/changes")
MODERN = {"MCP-Protocol-Version": "2026-07-28"}


@pytest_asyncio.fixture
async def api(stack: Stack) -> AsyncIterator[Api]:
    async with open_api(stack, serving={"assistants": add_tools}) as api:
        yield api


@pytest_asyncio.fixture(scope="module")
async def shared_api(shared_stack: Stack) -> AsyncIterator[Api]:
    """One for the whole module, for tests of what is refused."""
    async with open_api(shared_stack, serving={"assistants": add_tools}) as api:
        yield api


async def posted(
    api: Api, headers: dict[str, str], content: bytes | None = None, path: str = "/mcp"
) -> httpx.Response:
    content = called("list_workspaces") if content is None else content
    return await api.http.post(path, content=content, headers=ACCEPT | headers)


async def test_log_has_what_a_tool_asked_under_the_id_of_its_call(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = await logged(api, monkeypatch)
    headers = bearer(await token(api, "read", "payload")) | {"X-Request-Id": "assistant-7"}
    await posted(api, headers, called("find_events", person="usr_2048"))

    async def written() -> bool:
        return len(lines) == 2

    await eventually(written)
    said = [(line["route"], repr(line["status"]), line["request_id"]) for line in lines]
    assert said == [("/events", "200", "assistant-7"), ("/mcp", "200", "assistant-7")]
    assert "usr_2048" not in str(lines)


@pytest.mark.parametrize("path", PATHS)
async def test_who_may_come_in(shared_api: Api, path: str) -> None:
    """A token needs the scope `read`; publishable keys and embedded sessions are refused."""
    api = shared_api
    session = await minted(api, role="owner", scopes=["events.payload:read"])
    narrow = await minted(api, **OF_RESOURCE)
    ended = await api.stack.catalog.machine_keys.create(
        api.stack.organization,
        name="ended",
        created_by="test",
        expires_at=datetime.now(UTC) + timedelta(days=1),
        as_token=True,
    )
    await on_server(
        api.stack.database,
        "UPDATE machine_keys SET expires_at = clock_timestamp() WHERE id = $1",
        ended.key.id,
    )
    right = await token(api, "read")
    statuses = {
        "a token": (bearer(right), 200),
        "a signed token of a minute": (api.machine.headers(), 200),
        "a token that emits": (bearer(await token(api, "emit")), 403),
        "a token that operates": (bearer(await token(api, "operate")), 403),
        "a session": (bearer(session["access_token"]), 403),
        "a resource's session": (bearer(narrow["access_token"]), 403),
        "nothing": ({}, 401),
        "a page's key": ({"X-Meshes-Publishable-Key": api.public_key}, 401),
        "an unknown token": (bearer(f"{right[:-1]}{'A' if right[-1] != 'A' else 'B'}"), 401),
        "an expired token": (bearer(ended.secret_key.get_secret_value()), 401),
    }
    for name, (headers, status) in statuses.items():
        answer = await posted(api, headers, path=path)
        assert answer.status_code == status, (name, answer.text)
        if status != 200:
            assert_error(answer, status)
            # The body isn't read, so even an invalid one gets the same answer.
            assert_error(await posted(api, headers, b"{", path), status)
        if status == 401:
            assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Origin": "https://evil.example"}, None, 403),
        ({"Origin": "null"}, None, 403),
        ({"Content-Type": "text/plain"}, None, 400),
        ({"Accept": "text/html"}, None, 406),
        ({"MCP-Protocol-Version": "1999-01-01"}, None, 400),
        ({}, b"", 400),
        ({}, b"{", 400),
        ({}, b"\xff", 400),
        ({}, b"[" * 100_000, 413),
        ({}, b"[" * 1_000 + b"]" * 1_000, 400),
        ({}, b"[" + b"[]," * 30_000 + b"[]]", 413),
        ({}, b"x" * 10_000_000, 413),
        ({}, b"[" + called("status") + b"]", 400),
        ({}, b"17", 400),
        ({}, b'{"jsonrpc": "1.0", "id": 1, "method": "tools/list"}', 400),
    ],
)
async def test_what_is_no_call_is_refused_briefly(
    shared_api: Api, headers: dict[str, str], content: bytes | None, status: int
) -> None:
    right = bearer(await token(shared_api, "read"))
    for version in ({}, {"MCP-Protocol-Version": "2025-11-25"}, MODERN):
        answer = await posted(shared_api, right | version | headers, content)
        assert answer.status_code == status, answer.text
        assert len(answer.content) < 2_000
        assert shared_api.stack.workspace in (await posted(shared_api, right)).text


async def test_body_is_refused_by_its_announced_length(
    shared_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10 MB are refused although only their first byte has come."""
    monkeypatch.setattr("starter.api.bodies.DRAIN_SECONDS", 0.1)
    host, port = shared_api.http.base_url.host, shared_api.http.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    key = await token(shared_api, "read")
    lines = ["POST /mcp HTTP/1.1", "Host: a", f"Authorization: Bearer {key}"]
    lines += ["Content-Type: application/json", "Content-Length: 10000000", "", "{"]
    writer.write("\r\n".join(lines).encode())
    async with asyncio.timeout(20):
        assert b" 413 " in await reader.readline()
    writer.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS"])
async def test_only_a_post_is_answered(shared_api: Api, path: str, method: str) -> None:
    """There is no stream to open, no session to end, and no page is let in."""
    right = bearer(await token(shared_api, "read"))
    answer = await shared_api.http.request(
        method, path, headers=right | {"Accept": "text/event-stream"}
    )
    assert_error(answer, 405)
    assert answer.headers["Allow"] == "POST"
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_no_stream_is_left_open(shared_api: Api) -> None:
    right = bearer(await token(shared_api, "read"))
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN["MCP-Protocol-Version"],
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "subscriptions/listen",
        "params": {"_meta": meta, "notifications": {"toolsListChanged": True}},
    }
    headers = right | MODERN | {"Mcp-Method": "subscriptions/listen"}
    async with asyncio.timeout(20):
        answer = await posted(shared_api, headers, json.dumps(body).encode())
    assert answer.status_code == 404, answer.text
    assert answer.json()["error"]["code"] == -32601
    assert "mcp-session-id" not in answer.headers


async def test_calls_at_the_same_time_are_each_their_own_callers(shared_api: Api) -> None:
    api = shared_api
    others = await api.stranger()
    theirs = (await api.stack.catalog.workspaces.create(others.organization, name="Theirs")).id

    async def seen(caller: Machine, own: str, foreign: str) -> None:
        text = (await posted(api, caller.headers())).text
        assert own in text
        assert foreign not in text

    ours = api.stack.workspace
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(seen(api.machine, ours, theirs))
            group.create_task(seen(others, theirs, ours))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_slow_tool_ends(api: Api, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr("starter.mcp.http.TIMEOUT_SECONDS", 0.5)
    ended = asyncio.Event()

    async def never(*_: Any, **__: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(api.stack.catalog.workspaces, "list", never)
    async with over_http(api, await token(api, "read"), mode=mode) as asks:
        assert "did not answer in time" in await asks.refused("list_workspaces")
        assert ended.is_set()


async def test_redelivery_whose_start_is_cut_off_may_have_started(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The assistant is informed, and may start it again, which delivers nothing twice."""
    await api.stack.rule()
    event = await failed_event(api)
    plan: dict[str, Any] = {}

    async def started_unheard(*given: Any, **more: Any) -> None:
        await start_redelivery(*given, **more)
        await asyncio.Event().wait()

    async with over_http(api, await token(api, "read", "operate"), allow_changes=True) as asks:

        async def planned() -> bool:
            selection = {"workspace": api.stack.workspace, "accepted_from": "2020-01-01T00:00:00Z"}
            plan.update(json.loads(await asks.ask("plan_redelivery", **selection)))
            return bool(plan["matched"])

        await eventually(planned)
        given = {"selection": plan["selection"], "confirm": plan["id"]}
        with monkeypatch.context() as cut:
            cut.setattr("starter.api.routes.redeliveries.start_redelivery", started_unheard)
            cut.setattr("starter.mcp.http.TIMEOUT_SECONDS", 3.0)
            said = await asks.refused("start_redelivery", **given)
        assert "it may have started" in said
        assert "Ask for less" not in said
        await api.reached(event["id"], "completed")
        assert json.loads(await asks.ask("start_redelivery", **given))["id"] == plan["id"]
    assert [request.call for request in api.stack.calls()] == ["identify", "identify", "track"]


async def test_redelivery_needs_the_path_for_changes_and_the_scope(api: Api) -> None:
    """Each start, also one that is refused, is in the audit with the token that asked."""
    await api.stack.rule()
    event = await failed_event(api)
    selection: dict[str, Any] = {
        "workspace": api.stack.workspace,
        "accepted_from": "2020-01-01T00:00:00Z",
        "accepted_to": datetime.now(UTC).isoformat(),
    }
    plan: dict[str, Any] = {}
    all_rights = await token(api, "read", "payload", "operate", "manage")
    async with over_http(api, all_rights) as asks:

        async def planned() -> bool:
            plan.update(json.loads(await asks.ask("plan_redelivery", **selection)))
            return bool(plan["matched"])

        await eventually(planned)
        given = {"selection": plan["selection"], "confirm": plan["id"]}
        assert "Unknown tool" in await asks.refused("start_redelivery", **given)
    reader = await api.stack.catalog.machine_keys.create(
        api.stack.organization, name="r", created_by="test", scopes=["read"], as_token=True
    )
    async with over_http(api, reader.secret_key.get_secret_value(), allow_changes=True) as asks:
        assert "lacks the scope operate" in await asks.refused("start_redelivery", **given)
    assert (await api.get(f"/redeliveries/{plan['id']}")).status_code == 404
    async with over_http(api, all_rights, allow_changes=True) as asks:
        assert json.loads(await asks.ask("start_redelivery", **given))["id"] == plan["id"]
    await api.reached(event["id"], "completed")
    [refused] = [
        entry
        for entry in (await api.get("/audit")).json()["records"]
        if entry["actor"] == reader.key.id
    ]
    assert refused["outcome"] == "403"
    assert refused["network"] == "127.0.0.0/24"


async def test_wrong_tokens_are_counted_and_lock_no_right_one_out(api: Api) -> None:
    wrong = bearer(f"emitonce_{'x' * 12}_{'y' * 43}")
    statuses = [(await posted(api, wrong)).status_code for _ in range(FAILURES + 5)]
    assert statuses[:FAILURES] == [401] * FAILURES
    assert statuses[-1] == 429
    assert (await posted(api, api.machine.headers())).status_code == 200


async def test_what_tools_are_refused_counts_against_the_key(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starter.api.app.REFUSED_ACTS", 3)
    nothing = str(uuid.uuid4())
    async with open_api(stack, serving={"assistants": add_tools}) as api:
        key = await token(api, "read", "operate")
        async with over_http(api, key) as asks:
            for _ in range(3):
                said = await asks.refused("verify_connection", connection_id=nothing)
                assert "answered 404" in said
            said = await asks.refused("verify_connection", connection_id=nothing)
        assert "answered 429" in said
        direct = await api.http.post(f"{BASE}/connections/{nothing}/verify", headers=bearer(key))
        assert direct.status_code == 429


def test_api_imports_the_sdk_only_where_it_is_wanted() -> None:
    code = "import sys, starter.cli.api_process, starter.dev.stack; print('mcp' in sys.modules)"
    assert ran(code).stdout == "False\n"


def test_api_says_what_to_install() -> None:
    code = """
import sys

import starter.mcp

class Absent:
    def find_spec(name, *_):
        if name == "mcp":
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, Absent)
starter.mcp.over_http(True)
"""
    assert "make setup-mcp" in ran(code).stderr.splitlines()[-1]


async def test_without_the_setting_there_are_no_tools(shared_stack: Stack) -> None:
    serving = {"assistants": mcp.over_http(wanted=False)}
    async with open_api(shared_stack, serving=serving) as api:
        for path in PATHS:
            assert_error(await posted(api, api.machine.headers(), path=path), 404)


def ran(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
