"""Every route of a production process with every credential that isn't enough for it."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

import starter.console.routes
from starter.api.auth import PUBLISHABLE_HEADER
from starter.mcp.http import PATH, WITH_CHANGES
from tests.api.caller import Machine, filled
from tests.attacks.production import Production

Headers = dict[str, str]

OPEN = {"/healthz", "/readyz", "/openapi.json", "/docs"}
INGESTION = {"/api/v1/events", "/api/v1/events/bulk"}
PUBLIC_PAGES = {"/sign-in", "/favicon.ico", "/embed/host.js"}


def bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


def unsigned(machine: Machine) -> str:
    return jwt.encode(machine.claims(), "", algorithm="none", headers={"kid": machine.access_key})


def signed_by_another(right: Machine, other: Machine) -> str:
    return Machine(right.organization, right.access_key, other.secret_key).token()


def expired(machine: Machine) -> str:
    now = int(time.time())
    return machine.token(iat=now - 120, exp=now - 90)


CREDENTIALS: dict[str, Callable[[Production], Headers]] = {
    "none": lambda _: {},
    "a made-up publishable key": lambda _: {
        PUBLISHABLE_HEADER: f"mesh_pub_{'a' * 8}_{'a' * 8}_{'a' * 32}"
    },
    "text for a publishable key": lambda _: {PUBLISHABLE_HEADER: "' OR 1=1 --"},
    "a publishable key as a token": lambda to: bearer(to.public_key),
    "an unsigned token": lambda to: bearer(unsigned(to.machine)),
    "a token signed by another": lambda to: bearer(signed_by_another(to.machine, to.stranger)),
    "an expired token": lambda to: bearer(expired(to.machine)),
    "another organization in the token": lambda to: bearer(
        to.stranger.token(org=to.machine.organization)
    ),
    "a secret for a token": lambda to: bearer(to.machine.secret_key),
    "basic": lambda to: {"Authorization": "Basic YWRtaW46YWRtaW4="},
    "a made-up cookie": lambda _: {"Cookie": "emitonce_session=a.b"},
}


async def operations(attacked: Production) -> list[tuple[str, str]]:
    """Method and path of all that a key is needed for, ids filled in that are there."""
    ids = {
        "workspace_id": attacked.workspace,
        "connection_id": attacked.connection.id,
        "rule_id": attacked.rule.id,
    }
    document = (await attacked.http.get("/openapi.json")).json()
    return [
        *(("POST", path) for path in (PATH, WITH_CHANGES)),
        *(
            (method.upper(), filled(path, ids))
            for path, described in document["paths"].items()
            for method in described
            if path not in OPEN
        ),
    ]


@pytest.mark.parametrize("name", CREDENTIALS)
async def test_no_route_lets_in_who_has_no_right_key(
    attacked: Production, name: str, record_property: Callable[[str, Any], None]
) -> None:
    asked = 0
    for method, path in await operations(attacked):
        answer = await attacked.http.request(
            method,
            path,
            json={},
            headers={**CREDENTIALS[name](attacked), **attacked.new_address()},
        )
        assert answer.status_code == 401, (name, method, path, answer.text)
        assert attacked.machine.secret_key not in answer.text
        asked += 1
    assert asked >= 40
    record_property("requests", asked)


async def test_publishable_key_opens_ingestion_and_nothing_else(
    attacked: Production, record_property: Callable[[str, Any], None]
) -> None:
    key = {PUBLISHABLE_HEADER: attacked.public_key}
    seen = Counter[int]()
    for method, path in await operations(attacked):
        answer = await attacked.http.request(method, path, json={}, headers=key)
        expected = 400 if path in INGESTION and method == "POST" else 401
        assert answer.status_code == expected, (method, path, answer.text)
        seen[answer.status_code] += 1
    assert seen[400] == 2
    record_property("requests", seen.total())


async def test_key_of_another_tenant_finds_nothing_of_ours(
    attacked: Production, record_property: Callable[[str, Any], None]
) -> None:
    event = await attacked.emit({"event": "private.thing", "payload": {"userId": "u1"}})
    ours = {
        attacked.workspace,
        attacked.connection.id,
        attacked.rule.id,
        event.json()["event"]["id"],
        attacked.machine.access_key,
    }
    asked = 0
    for method, path in await operations(attacked):

        async def answered(path: str, method: str = method) -> httpx.Response:
            body = {"workspace": attacked.workspace}
            headers = attacked.stranger.headers()
            return await attacked.http.request(method, path, json=body, headers=headers)

        answer = await answered(path)
        assert answer.status_code < 500, (method, path)
        if any(id in path for id in ours):
            made_up = re.sub("|".join(ours), str(uuid.uuid4()), path)
            assert answer.status_code in (400, 404), (method, path, answer.text)
            assert answer.json() == (await answered(made_up)).json()
        # Strangers read in their own audit which ids they have tried themselves.
        told = [] if path.endswith("/audit") else [id for id in ours if id in answer.text]
        assert not told, (method, path)
        asked += 1
    left = await attacked.call("GET", f"/rules/{attacked.rule.id}")
    assert left.json()["active"] is True
    record_property("requests", asked)


def pages() -> Iterator[tuple[str, str]]:
    """Method and path of every route of the console."""
    for found in pkgutil.iter_modules(starter.console.routes.__path__):
        module = importlib.import_module(f"starter.console.routes.{found.name}")
        for router in {id(one): one for one in vars(module).values()}.values():
            if isinstance(router, APIRouter):
                for route in router.routes:
                    if isinstance(route, APIRoute) and route.path not in PUBLIC_PAGES:
                        for method in route.methods:
                            yield method, route.path


@pytest.mark.parametrize("cookie", ["", "emitonce_session=a.b", f"emitonce_session={'x' * 2_000}"])
async def test_no_page_is_shown_without_a_session(
    attacked: Production, cookie: str, record_property: Callable[[str, Any], None]
) -> None:
    asked = 0
    for method, path in pages():
        if path.startswith("/assets"):
            continue
        # Not there in production, and without single sign-on.
        absent = path.startswith(("/sign-in/development", "/sign-in/provider", "/sign-in/callback"))
        at = filled(path, {"workspace_id": attacked.workspace, "rule_id": attacked.rule.id})
        answer = await attacked.http.request(
            method, at, headers={"Cookie": cookie}, follow_redirects=False
        )
        shown = answer.status_code, answer.headers.get("location", "")
        expected = (404,) if absent else (401, 403, 303)
        assert shown[0] in expected, (path, shown)
        assert shown[0] != 303 or shown[1].startswith("/sign-in"), (path, shown)
        assert "Acme app" not in answer.text
        asked += 1
    assert asked >= 40
    record_property("requests", asked)


async def test_ids_that_are_none_are_not_there(attacked: Production) -> None:
    for id in (
        "..%2fworkspaces",
        "%2e%2e%2f",
        "'--",
        "\u202e",
        "0" * 5_000,
        str(uuid.uuid4()).upper(),
    ):
        for noun in ("events", "rules", "connections", "workspaces"):
            answer = await attacked.call("GET", f"/{noun}/{id}")
            assert answer.status_code in (404, 405), (noun, id[:20], answer.status_code)
