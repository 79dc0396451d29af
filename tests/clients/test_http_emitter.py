"""The HTTP face against the real API, and what it does when the API is away or refuses."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from datetime import datetime

import httpx
import pytest

from emitonce import (
    AsyncHTTPEmitter,
    EmitError,
    HTTPEmitter,
    IdempotencyConflict,
    InvalidEvent,
    NotAccepted,
    NotAllowed,
)
from tests.api.caller import Api

PERSON = {"userId": "usr_2048", "email": "test@example.com"}


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits between tries are recorded and not waited."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


def through(answer: Callable[[httpx.Request], httpx.Response]) -> HTTPEmitter:
    return HTTPEmitter(
        "http://api", publishable_key="mesh_pub_x", transport=httpx.MockTransport(answer)
    )


async def test_both_faces_deliver(api: Api) -> None:
    await api.stack.rule()
    async with AsyncHTTPEmitter(api.url, publishable_key=api.public_key) as emitter:
        first = await emitter.emit("user.signup", PERSON, resource_id="r1")
    with HTTPEmitter(api.url, token=api.machine.token) as sync:
        second = await asyncio.to_thread(
            sync.emit, "user.signup", PERSON, workspace=api.stack.workspace
        )
    for event in (first, second):
        assert event.workspace == api.stack.workspace
        assert (await api.ended(event.id))["status"] == "completed"
    assert len(api.stack.calls(user="usr_2048")) == 4


async def test_the_same_key_gives_the_same_event_and_another_body_conflicts(api: Api) -> None:
    async with AsyncHTTPEmitter(api.url, publishable_key=api.public_key) as emitter:
        key = str(uuid.uuid4())
        first = await emitter.emit("user.signup", PERSON, idempotency_key=key)
        again = await emitter.emit("user.signup", PERSON, idempotency_key=key)
        assert again.id == first.id
        with pytest.raises(IdempotencyConflict):
            await emitter.emit("user.signup", {"userId": "other"}, idempotency_key=key)


async def test_refusals_say_what_to_mend(api: Api) -> None:
    async with AsyncHTTPEmitter(api.url, publishable_key=api.public_key) as emitter:
        with pytest.raises(InvalidEvent, match="event"):
            await emitter.emit("", PERSON)
        with pytest.raises(InvalidEvent, match="JSON"):
            await emitter.emit("user.signup", {"at": float("nan")})
        with pytest.raises(InvalidEvent, match="time zone"):
            await emitter.emit("user.signup", PERSON, timestamp=datetime(2026, 1, 1))
    async with AsyncHTTPEmitter(api.url, publishable_key="mesh_pub_a_b_c") as stranger:
        with pytest.raises(NotAllowed):
            await stranger.emit("user.signup", PERSON)


def test_what_is_away_is_tried_again_with_the_same_key(no_waiting: list[float]) -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["idempotency-key"])
        if len(keys) == 1:
            raise httpx.ConnectError("refused")
        if len(keys) == 2:
            return httpx.Response(503, json={"message": "away"}, headers={"Retry-After": "2"})
        created = {
            "id": "e",
            "event": "user.signup",
            "workspace": "w",
            "created_at": "2026-11-24T10:00:00.000Z",
        }
        return httpx.Response(201, json={"event": created})

    assert through(answer).emit("user.signup", PERSON).id == "e"
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert no_waiting[1] == 2


def test_what_stays_away_is_not_accepted(no_waiting: list[float]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(NotAccepted):
        through(answer).emit("user.signup", PERSON)
    assert len(no_waiting) == 3


def test_a_url_and_a_key_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMITONCE_URL", raising=False)
    monkeypatch.delenv("EMITONCE_PUBLISHABLE_KEY", raising=False)
    with pytest.raises(EmitError, match="EMITONCE_URL"):
        HTTPEmitter()
    with pytest.raises(EmitError, match="EMITONCE_PUBLISHABLE_KEY"):
        HTTPEmitter("http://api")
