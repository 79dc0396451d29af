"""`emitonce api` and the keys it is called with."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import jwt
import pytest

from tests.cli.command import PROGRAM, START_SECONDS, CommandLine, environment
from tests.cli.conftest import Dev


@asynccontextmanager
async def running_api(dev: Dev) -> AsyncIterator[str]:
    """`emitonce api` on a free port, beside the development stack; gives its URL."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        *("api", "--port", "0", "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(dev.cli.data_dir),
        cwd=dev.cli.data_dir,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        if not line:
            raise AssertionError((await process.communicate())[1].decode())
        ready = json.loads(line)
        assert ready["ready"] is True
        yield ready["http"]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), START_SECONDS)
    assert process.returncode == 0


def signed(key: dict[str, str]) -> dict[str, str]:
    now = int(time.time())
    claims = {
        "iss": f"urn:meshes:m2m:{key['access_key']}",
        "aud": "meshes-api",
        "org": key["organization"],
        "iat": now,
        "exp": now + 30,
    }
    headers = {"kid": key["access_key"]}
    token = jwt.encode(claims, key["secret_key"], algorithm="HS256", headers=headers)
    return {"Authorization": f"Bearer {token}"}


async def test_keys_made_by_command_open_the_api_until_revoked(dev: Dev) -> None:
    workspace = await dev.workspace("Keys app")
    machine = await dev.cli.json("keys", "create", "machine", "--name", "ci")
    assert {"organization", "access_key", "secret_key"} < set(machine)
    public = await dev.cli.json(
        *("keys", "create", "publishable", "--name", "web", "--workspace", workspace)
    )
    listed = await dev.cli.run("keys", "list", "--json")
    assert machine["secret_key"] not in listed.out
    ids = {key.get("access_key") or key["public_key"]: key["id"] for key in listed.json["records"]}
    async with running_api(dev) as url, httpx.AsyncClient(base_url=f"{url}/api/v1") as http:

        async def statuses() -> tuple[int, int]:
            event = {"event": "user.signup", "payload": {"userId": "usr_1"}}
            emitted = await http.post(
                "/events", json=event, headers={"X-Meshes-Publishable-Key": public["public_key"]}
            )
            read = await http.get(f"/workspaces/{workspace}", headers=signed(machine))
            return emitted.status_code, read.status_code

        assert await statuses() == (201, 200)
        for key in (machine["access_key"], public["public_key"]):
            await dev.cli.json("keys", "revoke", ids[key])
        # Another process has revoked them: the API hears of it.
        deadline = time.monotonic() + 30
        while await statuses() != (401, 401):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def test_a_user_of_the_audit_is_found_by_what_the_provider_calls_them(dev: Dev) -> None:
    asked = ("audit", "user", "248289761001", "--json")
    client = {"EMITONCE_OIDC_CLIENT_ID": "c", "EMITONCE_PUBLIC_URL": "https://events.example.com"}
    first, again, other = [
        (await dev.cli.run(*asked, **client, EMITONCE_OIDC_ISSUER=issuer)).json["user"]
        for issuer in ("https://one.example", "https://one.example", "https://other.example")
    ]
    assert first == again != other
    assert (await dev.cli.run(*asked)).code != 0
    incomplete = await dev.cli.run(*asked, EMITONCE_OIDC_ISSUER="https://one.example")
    assert "EMITONCE_PUBLIC_URL" in incomplete.err


async def test_key_is_narrowed_by_command_and_a_wide_one_is_warned_of(dev: Dev) -> None:
    workspace = await dev.workspace("Narrow app")
    made = await dev.cli.run(
        *("keys", "create", "publishable", "--name", "web", "--workspace", workspace, "--json")
    )
    key = made.json
    assert f"emitonce keys narrow {key['id']}" in made.err
    narrow = ("keys", "narrow", key["id"])
    assert (await dev.cli.run(*narrow)).code == 2
    assert (await dev.cli.run(*narrow, "--origin", "example.com")).code == 4
    rights = ("--event", "page.viewed", "--origin", "https://Example.com")
    ran = await dev.cli.run(*narrow, *rights, "--identify", "anonymous", "--json")
    assert (ran.json["events"], ran.json["origins"]) == (["page.viewed"], ["https://example.com"])
    assert ran.json["identify"] == "anonymous"
    assert "narrow" not in ran.err
    replaced = await dev.cli.json(
        *("keys", "create", "publishable", "--name", "new", "--workspace", workspace),
        *("--replaces", key["id"]),
    )
    assert replaced["events"] == ["page.viewed"]
    ran = await dev.cli.run(*narrow, "--keep-wide", "--json")
    assert (ran.json["kept_wide"], "events" in ran.json) == (True, False)


async def test_quota_is_set_by_command_and_taken_back(dev: Dev) -> None:
    workspace = await dev.workspace("Quota app")
    create = ("keys", "create", "publishable", "--name", "web", "--workspace", workspace)
    key = await dev.cli.json(*create)
    event = json.dumps({"event": "page.viewed", "payload": {"userId": "u1"}})
    headers = {"X-Meshes-Publishable-Key": key["public_key"], "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=dev.ready["http"], headers=headers) as http:

        async def emitted() -> int:
            return (await http.post("/api/v1/events", content=event)).status_code

        await dev.cli.json("keys", "quota", key["id"], "--events", "1")
        assert [await emitted(), await emitted()] == [201, 429]
        await dev.cli.json("keys", "quota", key["id"])
        assert await emitted() == 201
    shown = await dev.cli.json("workspaces", "quota", workspace, "--bytes", "1000")
    assert shown == {"workspace": workspace, "events_per_minute": None, "bytes_per_minute": 1000}
    assert (await dev.cli.run("keys", "quota", workspace)).code == 3


async def test_development_stack_serves_the_api(dev: Dev) -> None:
    async with httpx.AsyncClient(base_url=dev.ready["http"]) as http:
        ready = (await http.get("/readyz")).json()
        assert ready == {"status": "ok", "temporal": "ok", "database": "ok"}
        assert (await http.get("/docs")).status_code == 200


@pytest.mark.slow
async def test_port_that_is_taken_is_told_with_its_remedy(dev: Dev) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = await CommandLine(dev.cli.data_dir).run("api", "--port", port)
    assert ran.code == 6
    assert "EMITONCE_HTTP_PORT" in ran.err


async def test_a_token_does_what_it_was_made_for(dev: Dev) -> None:
    create = ("keys", "create", "token", "--name", "ci", "--scope", "read")
    made = await dev.cli.json(*create)
    assert made["scopes"] == ["read"]
    assert made["expires_at"] is not None
    headers = {"Authorization": f"Bearer {made['token']}"}
    async with httpx.AsyncClient(base_url=f"{dev.ready['http']}/api/v1") as http:
        assert (await http.get("/rules", headers=headers)).status_code == 200
        refused = await http.post("/workspaces", json={"name": "New"}, headers=headers)
    assert refused.status_code == 403
    for_ever = await dev.cli.json(*create, "--expires-in", "never")
    assert for_ever["expires_at"] is None
    ran = await dev.cli.run("keys", "create", "token", "--name", "ci", "--scope", "root")
    assert ran.code == 4
    assert "emit, read, payload, operate, manage" in ran.err


async def test_an_afternoon_of_changes_is_told_back(dev: Dev) -> None:
    workspace = (await dev.cli.json("workspaces", "create", "--name", "Told back"))["workspace"]
    key = await dev.cli.json(
        "keys", "create", "publishable", "--name", "w", "--workspace", workspace["id"]
    )
    await dev.cli.json("keys", "revoke", key["id"])
    ran = await dev.cli.run("keys", "revoke", "00000000-0000-4000-8000-000000000000")
    assert ran.code == 3
    told = [
        json.loads(line)
        for line in (await dev.cli.run("audit", "list", "--lines")).out.splitlines()
    ]
    assert [(act["act"], act["outcome"]) for act in told[:4]] == [
        ("revoke_key", "failed"),
        ("revoke_key", "done"),
        ("create_key", "done"),
        ("create_workspace", "done"),
    ]
    assert told[1]["ids"] == {"key": key["id"]}
    assert told[2]["ids"] == {"workspace": workspace["id"], "key_id": key["id"]}
    assert told[3]["ids"] == {"workspace_id": workspace["id"]}
    assert told[0]["actor"].startswith("cli:")
    listed = await dev.cli.json("audit", "list", "--limit", "2")
    assert listed["records"] == told[:2]
    assert "revoke_key" in (await dev.cli.run("audit", "list")).out


async def test_a_machine_key_signs_a_token_at_the_prompt(dev: Dev) -> None:
    assert (await dev.cli.run("token")).code == 6
    made = await dev.cli.json("keys", "create", "machine", "--name", "ci")
    names = ("organization", "access_key", "secret_key")
    key = {f"EMITONCE_{name.upper()}": made[name] for name in names}
    ran = await dev.cli.run("token", **key)
    assert ran.code == 0
    claims = jwt.decode(ran.out.strip(), made["secret_key"], ["HS256"], audience="meshes-api")
    assert claims["org"] == made["organization"]


async def test_key_that_is_none_is_told(dev: Dev) -> None:
    ran = await dev.cli.run("keys", "revoke", "00000000-0000-4000-8000-000000000000")
    assert ran.code == 3
    ran = await dev.cli.run("keys", "create", "root", "--name", "x")
    assert ran.code == 2
