"""The message of a webhook: the event as it came, the same bytes whenever it is built."""

from __future__ import annotations

import pytest

from delivery.errors import MappingError
from delivery.message import Message
from destinations.registry import build_messages
from tests.unit.delivery_samples import EVENT_ID, GOLDEN, RULE, WORKSPACE, event, rule

SEND = {"type": "webhook", "action": "send_webhook"}


def built(**changes: object) -> Message:
    [message] = build_messages(event(**changes), rule(**SEND)).messages
    return message


def test_the_event_is_in_an_envelope() -> None:
    message = built(resource_id="acc_17")
    assert (message.call, message.build) == ("send", 1)
    assert message.body == {
        "uuid": EVENT_ID,
        "event": "user.signup",
        "resource": "global",
        "resource_id": "acc_17",
        "payload": GOLDEN,
        "time_created": 1_795_456_800_000,
        "workspace": WORKSPACE,
        "rule": RULE,
        "message_id": "msg_856f1ec7-5ffd-5432-84a4-03fddf8eaa57",
        "hops": 1,
    }


def test_the_id_is_one_for_each_event_and_rule() -> None:
    other = rule(id="7d3c1a52-90b4-4a53-8f05-3d5f8a6b0002", **SEND)
    [second] = build_messages(event(), other).messages
    assert built().body["message_id"] == built(payload={}).body["message_id"]
    assert second.body["message_id"] != built().body["message_id"]


def test_an_event_that_came_by_webhooks_says_through_how_many() -> None:
    assert built(hops=2).body["hops"] == 3


@pytest.mark.parametrize("hops", [True, "2", -1, 4, 1.5, [2], None])
def test_what_is_no_count_of_hops_is_a_field_of_somebody_else_s(hops: object) -> None:
    assert built(hops=hops).body["hops"] == 1


@pytest.mark.parametrize(
    "payload", [{"userId": "usr_2048"}, {"email": "test@example.com"}, {" Email": "a@b.c"}]
)
def test_an_event_for_visitors_that_names_a_person_is_not_sent(payload: dict[str, str]) -> None:
    narrow = rule(**SEND).model_copy(update={"anonymous_only": True})
    assert build_messages(
        event({"anonymousId": "a", "userId": " ", "email": None}), narrow
    ).messages
    with pytest.raises(MappingError, match="names a person"):
        build_messages(event(payload), narrow)
