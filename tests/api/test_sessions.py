"""Embedded sessions: what is documented of them, and how they end."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from catalog import Catalog
from catalog.embed_sessions import ROLES
from catalog.encryption.cipher import CredentialCipher
from catalog.erasure import erase_workspace
from catalog.scopes import ALL, MANAGE, PAYLOAD, READ
from destinations import registry
from emitonce.ids import Hashes
from tests.api.caller import BASE, Api, Machine, assert_error, open_api
from tests.api.test_scopes import bearer
from tests.chaos.older_code import check_out
from tests.conftest import psql
from tests.integration.stack import CREDENTIAL_KEY, SECRET
from tests.upgrade.releases import R0_COMMIT

ORIGIN = "https://app.example.com"
OF_RESOURCE = {"session_type": "resource", "resource": "project", "resource_id": "prj_7"}
NOTHING = "sess_00000000-0000-4000-8000-000000000000"


@pytest.fixture
def api(tenant: Api) -> Api:
    return tenant


async def minted(api: Api, machine: Machine | None = None, **fields: Any) -> dict[str, Any]:
    body = {"workspace_id": api.stack.workspace, **fields}
    answer = await api.call("POST", "/sessions", body, machine=machine)
    assert answer.status_code == 200, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def asked(
    api: Api, session: dict[str, Any], path: str = "/rules", **headers: str
) -> httpx.Response:
    """A list of the session's workspace, asked for with its access token."""
    path = f"{BASE}/workspaces/{session['workspace_id']}{path}"
    return await api.http.get(path, headers={**bearer(session["access_token"]), **headers})


async def test_a_session_is_created_as_documented(api: Api) -> None:
    created = await minted(api)
    assert created == {
        "session_id": created["session_id"],
        "workspace_id": api.stack.workspace,
        "role": "member",
        "session_type": "workspace",
        "access_token": created["access_token"],
        "expires_in": 1800,
        "expires_at": created["expires_at"],
        "launch_token": created["launch_token"],
        "launch_expires_at": created["launch_expires_at"],
        "launch_url": f"{api.url}/embed/dashboard?launch={created['launch_token']}",
    }
    assert re.fullmatch(r"sess_[0-9a-f-]{36}", created["session_id"])
    assert created["access_token"].startswith("eyJhbGciOiJIUzI1NiIs")
    between = datetime.fromisoformat(created["expires_at"]) - datetime.fromisoformat(
        created["launch_expires_at"]
    )
    assert between.total_seconds() == pytest.approx(1770, abs=1)
    one = await minted(api, **OF_RESOURCE, role="owner", ttl_seconds=300, launch_page="rules")
    assert (one["resource"], one["resource_id"], one["expires_in"]) == ("project", "prj_7", 300)
    assert "/embed/rules?" in one["launch_url"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"workspace_id": None}, "workspace_id"),
        ({"role": "viewer"}, "role"),
        ({"session_type": "page"}, "session_type"),
        ({"external_user_id": "x" * 256}, "external_user_id"),
        ({"external_user_id": "\0"}, "body"),
        ({"ttl_seconds": 299}, "ttl_seconds"),
        ({"ttl_seconds": 3601}, "ttl_seconds"),
        ({"launch_ttl_seconds": 14}, "launch_ttl_seconds"),
        ({"launch_ttl_seconds": 61}, "launch_ttl_seconds"),
        ({"launch_page": "members"}, "launch_page"),
        ({"session_type": "dashboard", "launch_page": "events"}, "launch_page"),
        ({**OF_RESOURCE, "launch_page": "connections"}, "launch_page"),
        ({"session_type": "resource"}, "resource"),
        ({**OF_RESOURCE, "resource_id": None}, "resource_id"),
        ({"resource": "project"}, "resource"),
        ({"allowed_origins": ["https://a.example"] * 11}, "allowed_origins"),
        ({"allowed_origins": ["https://a.example/path"]}, "allowed_origins"),
        ({"allowed_origins": ["*"]}, "allowed_origins"),
        ({"scopes": ["everything"]}, "scopes[0]"),
        ({"scopes": ["events.payload:read"] * 21}, "scopes"),
    ],
)
async def test_what_is_not_documented_is_refused(
    shared_api: Api, fields: dict[str, Any], param: str
) -> None:
    body = {"workspace_id": shared_api.stack.workspace, **fields}
    assert_error(await shared_api.post("/sessions", body), 400, param)


async def test_a_refresh_makes_the_token_before_stale(api: Api) -> None:
    created = await minted(api, **OF_RESOURCE)
    answer = await api.post(f"/sessions/{created['session_id']}/refresh")
    assert answer.status_code == 200
    refreshed = answer.json()
    assert {name for name in created if not name.startswith("launch")} == set(refreshed)
    assert refreshed["session_id"] == created["session_id"]
    assert_error(await asked(api, created), 401)
    assert (await asked(api, refreshed)).status_code == 200


async def test_a_revoked_session_has_ended(api: Api) -> None:
    created = await minted(api)
    path = f"/sessions/{created['session_id']}"
    for _ in range(2):
        assert (await api.call("DELETE", path)).json() == {"revoked": True}
    assert_error(await asked(api, created), 401)
    of_workspace = {"workspace_id": api.stack.workspace}
    before = (await api.get("/sessions", **of_workspace)).json()["records"]
    assert_error(await api.post(f"{path}/refresh"), 409)
    launched = await api.http.get(created["launch_url"])
    assert launched.status_code == 404  # there is no console here
    [listed] = (await api.get("/sessions", **of_workspace)).json()["records"]
    assert listed["status"] == "revoked"
    assert [listed] == before


async def test_sessions_are_listed_without_their_tokens(api: Api) -> None:
    first = await minted(api, external_user_id="u_42")
    second = await minted(api, **OF_RESOURCE)
    await api.call("DELETE", f"/sessions/{first['session_id']}")

    async def listed(**params: Any) -> list[dict[str, Any]]:
        answer = await api.get("/sessions", workspace_id=api.stack.workspace, **params)
        assert answer.status_code == 200, answer.text
        records: list[dict[str, Any]] = answer.json()["records"]
        return records

    newest, oldest = await listed()
    assert (newest["session_id"], oldest["session_id"]) == (
        second["session_id"],
        first["session_id"],
    )
    assert oldest == {
        "session_id": first["session_id"],
        "workspace_id": api.stack.workspace,
        "role": "member",
        "session_type": "workspace",
        "external_user_id": "u_42",
        "status": "revoked",
        "created_at": oldest["created_at"],
        "expires_at": first["expires_at"],
        "is_expired": False,
    }
    assert newest["resource_id"] == "prj_7"
    assert await listed(status="active") == [newest]
    assert await listed(status="revoked") == [oldest]
    assert await listed(resource="project", resource_id="prj_7") == [newest]
    assert await listed(resource="project", resource_id="prj_8") == []
    page = (await api.get("/sessions", workspace_id=api.stack.workspace, limit=1)).json()
    assert re.fullmatch(r"[A-Za-z0-9_-]+", page["next_cursor"])
    assert await listed(limit=1, cursor=page["next_cursor"]) == [oldest]
    assert_error(await api.get("/sessions"), 400, "workspace_id")


async def test_sessions_of_others_are_not_found(api: Api) -> None:
    created, stranger = await minted(api), await api.stranger()
    for id in (created["session_id"], NOTHING, "sess_x", created["workspace_id"]):
        machine = stranger if id == created["session_id"] else api.machine
        for method, path in (("POST", f"/sessions/{id}/refresh"), ("DELETE", f"/sessions/{id}")):
            assert_error(await api.call(method, path, machine=machine), 404, "session_id")
    assert (await asked(api, created)).status_code == 200
    body = {"workspace_id": api.stack.workspace}
    assert_error(await api.call("POST", "/sessions", body, machine=stranger), 404, "workspace_id")
    answer = await api.call("GET", "/sessions", machine=stranger, **body)
    assert_error(answer, 404, "workspace_id")


@asynccontextmanager
async def deaf_api(api: Api) -> AsyncIterator[Api]:
    """Another API process on the same database, whose change feed is cut."""
    catalog = await Catalog.open(
        api.stack.database, CredentialCipher({"k1": CREDENTIAL_KEY}), Hashes(SECRET), registry
    )
    await catalog.changes.stop()
    try:
        async with open_api(replace(api.stack, catalog=catalog)) as other:
            yield other
    finally:
        await catalog.close()


@pytest.mark.parametrize("ended_by", ["revoked", "refreshed", "key revoked"])
async def test_what_ends_in_one_process_ends_in_the_other_at_once(api: Api, ended_by: str) -> None:
    machine = await api.machine_key(api.stack.organization)
    created = await minted(api, machine)
    path = f"/sessions/{created['session_id']}"
    async with deaf_api(api) as other:
        assert (await asked(other, created)).status_code == 200
        if ended_by == "revoked":
            await api.call("DELETE", path)
        elif ended_by == "refreshed":
            await api.post(f"{path}/refresh")
        else:
            await revoke_key(api, machine)
        assert_error(await asked(other, created), 401)
        if ended_by == "key revoked":
            assert_error(await other.post(f"{path}/refresh"), 409)


async def revoke_key(api: Api, machine: Machine) -> None:
    keys = api.stack.catalog.machine_keys
    [id] = [
        key.id
        for key in await keys.list(api.stack.organization)
        if key.access_key == machine.access_key
    ]
    await keys.revoke(api.stack.organization, id)


@pytest.mark.parametrize("minutes", [-90, 90])
async def test_a_wrong_clock_of_the_api_neither_prolongs_nor_ends_a_session(
    api: Api, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    class Shifted(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(minutes=minutes)

    created = await minted(api)
    monkeypatch.setattr("jwt.api_jwt.datetime", Shifted)
    assert (await asked(api, created)).status_code == 200
    await altered(api, created, "expires_at = clock_timestamp()")
    assert_error(await asked(api, created), 401)


async def altered(api: Api, session: dict[str, Any], change: str) -> None:
    async with psql(api.stack.database) as conn:
        await conn.execute(
            f"UPDATE embed_sessions SET {change} WHERE id = $1",
            uuid.UUID(session["session_id"].removeprefix("sess_")),
        )


async def test_a_session_is_not_refreshed_for_ever(api: Api) -> None:
    created = await minted(api)
    path = f"/sessions/{created['session_id']}/refresh"
    await altered(api, created, "created_at = clock_timestamp() - interval '11 hours 59 minutes'")
    assert (await api.post(path)).status_code == 200
    await altered(api, created, "created_at = clock_timestamp() - interval '12 hours'")
    assert_error(await api.post(path), 409)


async def test_a_session_ends_with_its_workspace(api: Api) -> None:
    created, stack = await minted(api, external_user_id="u_42"), api.stack
    rows = await erase_workspace(
        stack.catalog.pool, stack.catalog.changes, stack.organization, stack.workspace
    )
    assert rows["embed_sessions"] == 1
    assert_error(await asked(api, created), 401)
    assert_error(await api.post(f"/sessions/{created['session_id']}/refresh"), 404)
    assert_error(await api.get("/sessions", workspace_id=stack.workspace), 404)


@pytest.mark.parametrize("role", list(ROLES))
@pytest.mark.parametrize("scopes", [[], ["events.payload:read"]])
async def test_payloads_need_the_role_and_the_scope(api: Api, role: str, scopes: list[str]) -> None:
    event = await api.emitted()
    session = await minted(api, role=role, scopes=scopes)
    headers = bearer(session["access_token"])
    answer = await api.http.get(f"{BASE}/events/{event['id']}/payload", headers=headers)
    assert answer.status_code == (200 if scopes and role != "member" else 403)
    changed = await api.http.post(f"{BASE}/connections", json={}, headers=headers)
    assert changed.status_code == (403 if role == "member" else 400)


async def test_a_session_may_do_no_more_than_its_key(api: Api) -> None:
    made = await api.stack.catalog.machine_keys.create(
        api.stack.organization, name="narrow", created_by="test", scopes=[MANAGE, READ]
    )
    secret = made.secret_key.get_secret_value()
    narrow = Machine(api.stack.organization, made.key.access_key, secret)
    session = await minted(api, narrow, role="owner", scopes=["events.payload:read"])
    found = await api.stack.catalog.embed_sessions.read(session["session_id"])
    assert found is not None
    assert found.may == {MANAGE, READ}
    everything = await minted(api, role="owner", scopes=["events.payload:read"])
    found = await api.stack.catalog.embed_sessions.read(everything["session_id"])
    assert found is not None
    assert found.may == ALL
    assert PAYLOAD in found.may


async def test_a_session_is_used_from_its_own_pages_and_those_it_names(api: Api) -> None:
    session = await minted(api, allowed_origins=[f"{ORIGIN}/"])
    for origin, status in ((api.url, 200), (ORIGIN, 200), ("https://other.example", 403)):
        assert (await asked(api, session, Origin=origin)).status_code == status


async def test_a_changed_or_foreign_token_is_refused(api: Api) -> None:
    session = await minted(api)
    token = session["access_token"]
    header, claims = (
        jwt.get_unverified_header(token),
        jwt.decode(token, options={"verify_signature": False}),
    )
    ring = api.stack.catalog.cipher.ring
    forged = {
        "none": jwt.encode(claims, "", "none", headers={**header, "alg": "none"}),
        "the secret of backends": jwt.encode(claims, SECRET, "HS256", headers=header),
        "another role": _signed(ring, {**claims, "role": "owner"}, header),
        "what a later release narrows": _signed(ring, {**claims, "only": "GET"}, header),
        "another session": _signed(ring, {**claims, "sub": NOTHING}, header),
        "an unknown key": _signed(ring, claims, {**header, "key": "k9"}, "k1"),
        "cut": token[:-2],
    }
    for what, shown in forged.items():
        answer = await asked(api, {**session, "access_token": shown})
        assert answer.status_code == 401, what
    assert (await asked(api, session)).status_code == 200


def _signed(
    ring: Any, claims: dict[str, Any], header: dict[str, Any], key: str | None = None
) -> str:
    secret = ring.derived(key or header["key"], b"embedded sessions")
    return jwt.encode(claims, secret, "HS256", headers=header)


async def test_a_type_or_role_of_a_later_release_may_do_nothing(api: Api) -> None:
    for change in ("type = 'group'", "role = 'guest'"):
        session = await minted(api, role="owner")
        await altered(api, session, change)
        found = await api.stack.catalog.embed_sessions.read(session["session_id"])
        assert found is not None
        assert found.may == frozenset()


async def test_an_older_release_beside_refuses_the_token(api: Api, tmp_path: Path) -> None:
    """It knows no sessions, so it could not narrow one."""
    session = await minted(api, role="owner")
    root = check_out(R0_COMMIT, tmp_path / "older")
    program = f"""
import asyncio
from starter.api.tokens import InvalidToken, verify_token
async def machine_key(access_key):
    raise AssertionError("looked up " + access_key)
try:
    asyncio.run(verify_token({json.dumps(session["access_token"])}, machine_key))
except InvalidToken as err:
    print("refused:", err)
"""
    command = [sys.executable, "-c", program]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=root, capture_output=True, text=True
    )
    assert done.stdout.startswith("refused:"), done.stderr
