"""The task, tested without broker and emitonce: `fake_emitter` comes with the package."""

import os

os.environ.setdefault("EMITONCE_URL", "http://emitonce.test")
os.environ.setdefault("EMITONCE_ORGANIZATION", "6f0c7a52-4f8e-4a57-9f0b-2f6a3c1d9e10")
os.environ.setdefault("EMITONCE_ACCESS_KEY", "mk_test")
os.environ.setdefault("EMITONCE_SECRET_KEY", "test")

import pytest
import tasks

from emitonce import InvalidEvent, InvalidSetup, NotAccepted
from emitonce.testing import FakeEmitter

SIGNUP = ("user.signup", {"userId": "usr_2048"})


@pytest.fixture(autouse=True)
def emitter(monkeypatch: pytest.MonkeyPatch, fake_emitter: FakeEmitter) -> None:
    monkeypatch.setattr(tasks, "emitter", fake_emitter)


def test_a_task_that_runs_twice_emits_once(fake_emitter: FakeEmitter) -> None:
    for _ in range(2):
        tasks.emit.apply(SIGNUP, task_id="t1", throw=True)
    [event] = fake_emitter.events
    assert event.idempotency_key == "t1"


@pytest.mark.parametrize("error", [NotAccepted("unavailable"), InvalidSetup("a wrong key")])
def test_what_is_not_the_event_s_fault_is_tried_again(
    fake_emitter: FakeEmitter, error: Exception
) -> None:
    fake_emitter.fail(error, times=3)
    tasks.emit.apply(SIGNUP, task_id="t1")
    [event] = fake_emitter.events
    assert event.idempotency_key == "t1"


def test_an_event_that_is_refused_fails_its_task(fake_emitter: FakeEmitter) -> None:
    with pytest.raises(InvalidEvent):
        tasks.emit.apply((" ", {}), task_id="t1", throw=True)
    assert fake_emitter.events == []
