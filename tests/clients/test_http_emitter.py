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
    HTTPEmitter,
    IdempotencyConflict,
    InvalidEvent,
    InvalidSetup,
    MachineKey,
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
    key = MachineKey(api.machine.organization, api.machine.access_key, api.machine.secret_key)
    with HTTPEmitter(api.url, token=key) as sync:
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


MACHINE_KEY = {
    "EMITONCE_ORGANIZATION": "6f0c7a52-4f8e-4a57-9f0b-2f6a3c1d9e10",
    "EMITONCE_ACCESS_KEY": "mk_access",
    "EMITONCE_SECRET_KEY": "not-for-logs",
}


def test_a_url_and_a_key_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EMITONCE_URL", "EMITONCE_PUBLISHABLE_KEY", *MACHINE_KEY):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidSetup, match="EMITONCE_URL"):
        HTTPEmitter()
    with pytest.raises(InvalidSetup, match=r"EMITONCE_SECRET_KEY.*EMITONCE_PUBLISHABLE_KEY"):
        HTTPEmitter("http://api")


async def test_the_key_may_stand_in_the_environment(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine key or a publishable one, never both: they have idempotency keys of their own."""
    for name, value in zip(
        MACHINE_KEY,
        (api.machine.organization, api.machine.access_key, api.machine.secret_key),
        strict=True,
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EMITONCE_WORKSPACE", api.stack.workspace)
    async with AsyncHTTPEmitter(api.url) as emitter:
        event = await emitter.emit("user.signup", PERSON)
    assert event.workspace == api.stack.workspace
    monkeypatch.setenv("EMITONCE_PUBLISHABLE_KEY", api.public_key)
    with pytest.raises(InvalidSetup, match="set only one"):
        HTTPEmitter(api.url)
    for name in MACHINE_KEY:
        monkeypatch.delenv(name)
    async with AsyncHTTPEmitter(api.url) as emitter:
        assert (await emitter.emit("user.signup", PERSON)).workspace == api.stack.workspace


@pytest.mark.parametrize("missing", MACHINE_KEY)
def test_a_machine_key_that_lacks_a_part_is_refused(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (MACHINE_KEY | {missing: ""}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetup, match=missing) as refused:
        HTTPEmitter("http://api")
    assert "not-for-logs" not in str(refused.value)
    assert "not-for-logs" not in repr(MachineKey(*MACHINE_KEY.values()))
