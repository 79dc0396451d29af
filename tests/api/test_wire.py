"""What Meshes' published clients send and require, restated: they must work here unchanged."""

from __future__ import annotations

import json
import re
import socket
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api.caller import Api, assert_error, is_uuid
from tests.integration.stack import SAMPLE

# The Node management client's own checks of what it is constructed with.
ORGANIZATION = re.compile(
    r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", re.IGNORECASE
)
ACCESS_KEY = re.compile(r"^mk_[A-Za-z0-9_-]{22,}$")
SECRET_KEY = re.compile(r"^[A-Za-z0-9_-]{43,}$")
# The Node events client's.
PUBLISHABLE_KEY = re.compile(r"^mesh_pub_([A-Za-z0-9\-.]+)_([A-Za-z0-9\-.]+)_([^_]+)$")

ORIGIN = {"Origin": "https://app.example.com"}
ASKED = "content-type,x-meshes-client,x-meshes-publishable-key"


@pytest.fixture
def api(tenant: Api) -> Api:
    return tenant


async def test_keys_pass_the_clients_own_checks(api: Api):
    assert ORGANIZATION.match(api.machine.organization)
    assert ACCESS_KEY.match(api.machine.access_key)
    assert SECRET_KEY.match(api.machine.secret_key)
    assert PUBLISHABLE_KEY.match(api.public_key)


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/events/bulk"])
async def test_browser_may_emit(shared_api: Api, path: str):
    preflight = await shared_api.http.options(
        path,
        headers={
            **ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": f"{ASKED},idempotency-key,x-request-id",
        },
    )
    assert preflight.status_code == 204
    assert preflight.content == b""
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-methods"] == "POST"
    allowed = preflight.headers["access-control-allow-headers"].split(", ")
    assert {*ASKED.split(","), "idempotency-key", "x-request-id"} <= set(allowed)
    assert "access-control-allow-credentials" not in preflight.headers
    body: Any = {"event": "a", "payload": {"userId": "u"}}
    answer = await shared_api.emit(
        [body] if path.endswith("bulk") else body, path=path[7:], **ORIGIN
    )
    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_browser_can_read_why_it_was_refused(api: Api):
    for answer in (
        await api.emit(b"{", **ORIGIN),
        await api.http.post("/api/v1/events", headers=ORIGIN),
        await api.emit(b'"' + b"x" * 1_100_000 + b'"', **ORIGIN),
    ):
        assert answer.status_code in (400, 401, 413)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "X-Request-Id" in answer.headers["access-control-expose-headers"]


async def test_machine_secrets_have_no_place_in_browsers(api: Api):
    preflight = await api.http.options(
        "/api/v1/events",
        headers={
            **ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )
    assert preflight.headers["access-control-allow-headers"] == "content-type"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/events"),
        ("GET", "/workspaces"),
        ("POST", "/rules"),
        ("DELETE", "/connections/x"),
        ("GET", "/events/x"),
    ],
)
async def test_management_has_no_cors(shared_api: Api, method: str, path: str):
    preflight = await shared_api.http.options(
        f"/api/v1{path}", headers={**ORIGIN, "Access-Control-Request-Method": method}
    )
    assert preflight.status_code in (403, 405)
    assert not [name for name in preflight.headers if name.startswith("access-control")]
    answer = await shared_api.call(method, path, headers=ORIGIN)
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_token_with_json_content_type_and_no_body_is_fine(api: Api):
    """The Node management client sends `Content-Type: application/json` with everything."""
    rule = await api.stack.rule()
    created = await api.emitted()
    await api.ended(created["id"])
    for method, path, status in (
        ("GET", "/workspaces", 200),
        ("POST", f"/connections/{rule.connection}/resume", 200),
        ("POST", f"/rules/{rule.id}/preview", 200),
        ("POST", f"/events/{created['id']}/rules/{rule.id}/retry", 409),
        ("POST", f"/events/{created['id']}/cancel", 409),
        ("DELETE", f"/rules/{rule.id}", 200),
        ("DELETE", f"/connections/{rule.connection}", 200),
    ):
        answer = await api.call(method, path)
        assert answer.request.headers["content-type"] == "application/json"
        assert answer.request.headers.get("content-length", "0") == "0"
        assert answer.status_code == status, (path, answer.text)
        assert answer.headers["content-type"] == "application/json"


async def test_types_are_strict_enough_for_generated_clients(api: Api):
    """The Go client: ids parse as UUID, times as RFC 3339, `?` fields are absent or right."""
    await api.stack.rule()
    created = await api.emitted()
    event = await api.ended(created["id"])
    payload = (await api.get(f"/events/{created['id']}/payload")).json()
    rules = (await api.get("/rules")).json()["records"]
    connections = (await api.get("/connections")).json()["records"]
    workspaces = (await api.get("/workspaces")).json()["records"]
    checked = 0

    def check(value: Any) -> None:
        nonlocal checked
        if isinstance(value, list):
            for inner in value:
                check(inner)
        elif isinstance(value, dict):
            for name, inner in value.items():
                if name in ("id", "workspace", "event_id", "connection", "rule"):
                    assert is_uuid(inner), name
                elif name.endswith("_at") and inner is not None:
                    assert datetime.fromisoformat(inner).tzinfo is not None
                    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", inner)
                elif name.endswith("_count") or name == "total_rules":
                    assert type(inner) is int
                elif name in ("status", "created_by", "event", "type"):
                    assert isinstance(inner, str)
                elif name != "payload":
                    check(inner)
                checked += 1

    for value in (created, event, payload, rules, connections, workspaces):
        check(value)
    assert checked > 60


async def test_successes_have_the_documented_status_exactly(api: Api):
    answers = [
        (await api.emit(), 201),
        (await api.emit([{"event": "a", "payload": {}}], path="/events/bulk"), 201),
        (await api.emit([{"event": "a", "payload": {}}, {}], path="/events/bulk"), 207),
        (await api.get("/events"), 200),
    ]
    for answer, status in answers:
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/json"


async def test_query_string_of_the_events_client_is_ignored(api: Api):
    answer = await api.http.post(
        "/api/v1/events",
        params={"source": "web", "limit": "x"},
        json={"event": "a", "payload": SAMPLE},
        headers={"X-Meshes-Publishable-Key": api.public_key},
    )
    assert answer.status_code == 201


async def test_request_id_is_the_clients_own_or_a_new_one(api: Api):
    assert (await api.emit(X_Request_Id="order-7")).headers["x-request-id"] == "order-7"
    for bad in ("a b", "x" * 200, "<script>"):
        assert is_uuid((await api.emit(X_Request_Id=bad)).headers["x-request-id"])
    assert is_uuid((await api.http.get("/nowhere")).headers["x-request-id"])


async def test_unknown_paths_and_methods_have_the_error_form(api: Api):
    assert_error(await api.get("/nowhere"), 404)
    assert_error(await api.http.get("/api/v2/events"), 404)
    answer = await api.call("PUT", "/events")
    assert_error(answer, 405)
    assert answer.headers["allow"] == "GET, POST"
    assert_error(await api.call("GET", "/events/bulk"), 405)
    assert_error(await api.get("/workspaces/"), 404)


async def test_client_that_goes_away_while_it_sends_leaves_no_trace(api: Api):
    """Half a body and a closed connection: nothing fails, nothing is stored."""
    host = urlsplit(api.url)
    with socket.create_connection((host.hostname, host.port)) as raw:
        raw.sendall(
            b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
            b"X-Meshes-Publishable-Key: " + api.public_key.encode() + b"\r\n\r\n{"
        )
    created = await api.emitted()
    await api.ended(created["id"])
    assert [one["id"] for one in (await api.get("/events")).json()["records"]] in (
        [],
        [created["id"]],
    )


async def test_body_of_several_chunks_and_without_content_type_is_read(api: Api):
    async def chunks():
        for byte in json.dumps({"event": "a", "payload": SAMPLE}).encode():
            yield bytes([byte])

    answer = await api.http.post(
        "/api/v1/events",
        content=chunks(),
        headers={"X-Meshes-Publishable-Key": api.public_key},
    )
    assert answer.status_code == 201
