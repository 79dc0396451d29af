"""The outbox, tested without emitonce: `fake_emitter` comes with the package."""

import os

os.environ["DATABASE"] = ":memory:"

import pytest
from shop import OutboxEvent, create_order, create_tables, relay

from emitonce import InvalidSetup, NotAccepted, NotAllowed
from emitonce.testing import FakeEmitter


@pytest.fixture(autouse=True)
def tables():
    create_tables()
    yield
    OutboxEvent.objects.all().delete()


def test_an_order_is_announced_once(fake_emitter: FakeEmitter) -> None:
    order = create_order("usr_2048")
    row = OutboxEvent.objects.get()
    assert relay(fake_emitter) == 1
    assert relay(fake_emitter) == 0
    [event] = fake_emitter.events
    assert event.event == "order.created"
    assert event.payload == {"userId": "usr_2048", "order": str(order.id)}
    assert event.idempotency_key == str(row.id)


def test_a_lost_answer_makes_no_second_event(fake_emitter: FakeEmitter) -> None:
    create_order("usr_2048")
    fake_emitter.fail(NotAccepted("the answer was lost"), times=1, stored=True)
    assert [relay(fake_emitter), relay(fake_emitter)] == [0, 1]
    assert len(fake_emitter.events) == 1


@pytest.mark.parametrize(
    "error", [NotAccepted("unavailable"), InvalidSetup("a proxy's page"), NotAllowed("wrong key")]
)
def test_what_is_not_the_event_s_fault_keeps_every_row(
    fake_emitter: FakeEmitter, error: Exception
) -> None:
    for number in range(3):
        create_order(f"usr_{number}")
    fake_emitter.fail(error)
    assert relay(fake_emitter) == 0
    assert OutboxEvent.objects.filter(refused=None).count() == 3
    fake_emitter.recover()
    assert relay(fake_emitter) == 3
    assert [event.payload["userId"] for event in fake_emitter.events] == ["usr_0", "usr_1", "usr_2"]


def test_an_event_that_is_refused_is_no_obstacle_for_the_others(fake_emitter: FakeEmitter) -> None:
    OutboxEvent.objects.create(event=" ", payload={})
    taken = OutboxEvent.objects.create(event="order.created", payload={"userId": "usr_1"})
    fake_emitter.emit("order.created", {}, idempotency_key=str(taken.id))  # by someone else
    create_order("usr_2")
    assert relay(fake_emitter) == 1
    blank, conflict = OutboxEvent.objects.order_by("created_at")
    assert blank.refused == "event: must not be blank"
    assert "idempotency key" in conflict.refused
