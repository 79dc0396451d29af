"""A test that passes with a stand-in passes for the reason that it would with a real emitter."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from typing import Any

import pytest

from emitonce import (
    EmitError,
    IdempotencyConflict,
    InvalidEvent,
    InvalidSetup,
    NewEvent,
    NotAccepted,
)
from emitonce.testing import AsyncFakeEmitter, FakeEmitter

PERSON = {"userId": "usr_2048"}


def test_what_was_emitted_is_read_back_as_the_server_has_it() -> None:
    fake = FakeEmitter()
    accepted = fake.emit(
        " user.signup ",
        {"id": uuid.UUID(int=1), "born": date(2001, 2, 3), "tags": ("a",), 1: None},
        resource_id="r1",
        timestamp=datetime(2026, 11, 23, 18, tzinfo=UTC),
        idempotency_key="k",
    )
    [event] = fake.events
    assert (event.id, event.event, event.workspace) == (
        accepted.id,
        "user.signup",
        accepted.workspace,
    )
    assert event.payload == {
        "id": str(uuid.UUID(int=1)),
        "born": "2001-02-03",
        "tags": ["a"],
        "1": None,
    }
    assert (event.resource, event.resource_id) == ("global", "r1")
    assert (event.timestamp, event.idempotency_key) == ("2026-11-23T18:00:00.000+00:00", "k")


@pytest.mark.parametrize(
    "fields",
    [
        {"event": ""},
        {"payload": {"at": object()}},
        {"workspace": "acme"},
        {"timestamp": "yesterday"},
        {"idempotency_key": "bestellung-ü"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_a_real_one_refuses_is_refused(fields: dict[str, Any]) -> None:
    fake = FakeEmitter()
    with pytest.raises(InvalidEvent):
        fake.emit(**{"event": "user.signup", "payload": PERSON} | fields)
    assert fake.events == []


def test_the_payload_is_kept_as_it_was_when_it_was_emitted() -> None:
    fake = FakeEmitter()
    payload: dict[str, Any] = {"userId": "usr_2048", "tags": []}
    fake.emit("user.signup", payload)
    payload["tags"].append("changed")
    assert fake.events[0].payload["tags"] == []


def test_one_key_is_one_event_in_each_workspace() -> None:
    fake = FakeEmitter()
    first = fake.emit("user.signup", PERSON, idempotency_key="k")
    assert fake.emit("user.signup", PERSON, idempotency_key="k") == first
    with pytest.raises(IdempotencyConflict):
        fake.emit("user.signup", {}, idempotency_key="k")
    fake.emit("user.signup", PERSON, workspace=uuid.uuid4(), idempotency_key="k")
    assert len(fake.events) == 2


def test_it_fails_as_often_as_it_was_told_to() -> None:
    fake = FakeEmitter()
    fake.fail(NotAccepted("unavailable"), times=2)
    for _ in range(2):
        with pytest.raises(NotAccepted):
            fake.emit("user.signup", PERSON)
    fake.emit("user.signup", PERSON)
    fake.fail(InvalidSetup("a redirect"))
    for _ in range(3):
        with pytest.raises(InvalidSetup):
            fake.emit("user.signup", PERSON)
    fake.recover()
    fake.emit("user.signup", PERSON)
    assert len(fake.events) == 2


def test_a_lost_answer_leaves_the_event_stored() -> None:
    fake = FakeEmitter()
    fake.fail(NotAccepted("the answer was lost"), times=1, stored=True)
    with pytest.raises(NotAccepted):
        fake.emit("user.signup", PERSON, idempotency_key="k")
    again = fake.emit("user.signup", PERSON, idempotency_key="k")
    assert [event.id for event in fake.events] == [again.id]


async def test_many_stop_as_with_a_real_one() -> None:
    fake = AsyncFakeEmitter()
    events = [NewEvent("user.signup", PERSON), NewEvent("", PERSON), NewEvent("b", {})]
    first, blank, last = await fake.emit_many(events)
    assert isinstance(blank, InvalidEvent)
    assert not isinstance(first, EmitError)
    assert not isinstance(last, EmitError)
    fake.fail(NotAccepted("unavailable"), times=1)
    results = await fake.emit_many(events)
    assert [type(result) for result in results] == [NotAccepted] * 3
    assert [event.event for event in fake.events] == ["user.signup", "b"]
