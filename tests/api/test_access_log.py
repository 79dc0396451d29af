"""One line for each request: who asked for what, never with what."""

from __future__ import annotations

from typing import Any

import structlog

from starter.api import middleware
from tests.api.caller import Api, assert_error

PERSON = "someone@example.com"


async def logged(api: Api, monkeypatch: Any) -> list[dict[str, Any]]:
    capture = structlog.testing.LogCapture()
    monkeypatch.setattr(
        middleware,
        "log",
        structlog.wrap_logger(None, processors=[capture], wrapper_class=structlog.BoundLogger),
    )
    return capture.entries


async def test_each_request_leaves_one_line_without_personal_data(api: Api, monkeypatch: Any):
    lines = await logged(api, monkeypatch)
    body = {"event": "user.signup", "payload": {"email": PERSON}, "resource_id": PERSON}
    created = await api.emitted(body, X_Request_Id="order-7")
    await api.get("/events", resource_id=PERSON, event=PERSON)
    await api.get(f"/events/{PERSON}")
    await api.emit(b'{"event": "' + PERSON.encode() + b'", "payload": {}}')
    await api.http.get(f"/{PERSON}")
    assert [(line["method"], line["status"]) for line in lines] == [
        ("POST", 201),
        ("GET", 200),
        ("GET", 404),
        ("POST", 400),
        ("GET", 404),
    ]
    assert lines[0]["request_id"] == "order-7"
    assert lines[0]["event_id"] == created["id"]
    assert lines[0]["workspace_id"] == api.stack.workspace
    assert lines[0]["key"] == created["created_by"]
    assert lines[2]["route"].endswith("/events/{event_id}")
    assert all(line["duration_ms"] >= 0 for line in lines)
    told = str(lines)
    assert PERSON not in told
    assert api.public_key not in told
    assert api.machine.access_key not in told


async def test_what_nobody_expected_is_told_without_its_text(api: Api, monkeypatch: Any):
    lines = await logged(api, monkeypatch)

    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError(PERSON)

    monkeypatch.setattr(api.stack.catalog.workspaces, "list", broken)
    answer = await api.get("/workspaces")
    assert_error(answer, 500)
    assert PERSON not in answer.text
    failure, request = lines
    assert failure["error"] == "ZeroDivisionError"
    assert failure["request_id"] == request["request_id"] == answer.headers["x-request-id"]
    assert any("broken" in frame for frame in failure["at"])
    assert PERSON not in str(lines)
