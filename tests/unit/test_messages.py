"""Event × rule gives two requests, the same bytes each time they are built."""

from __future__ import annotations

import json

import pytest
from delivery_samples import (
    EVENT_ID,
    GOLDEN,
    NOW,
    RULE,
    TIMESTAMP,
    build,
    event,
    mapping,
    path,
    rule,
)

from delivery.errors import MappingError
from delivery.message import Message
from destinations.customerio.message_id import message_id
from destinations.registry import build_messages

LIBRARY = {"library": {"name": "emitonce", "version": "0.1.0"}}


def named(payload: dict, **options: object) -> object:
    return build({"userId": "u1", **payload}, **options).messages[1].body["event"]


def test_a_sign_up_identifies_the_person_and_tracks_the_event():
    pair = build(GOLDEN, event_name_override="Signed Up")
    assert pair.messages[0] == Message(
        call="identify",
        body={
            "userId": "usr_2048",
            "traits": {
                "email": "test@example.com",
                "first_name": "Test",
                "last_name": "User",
                "plan": "pro",
            },
            "timestamp": TIMESTAMP,
            "messageId": message_id(EVENT_ID, RULE, "identify", NOW),
            "context": LIBRARY,
        },
    )
    assert pair.messages[1] == Message(
        call="track",
        body={
            "userId": "usr_2048",
            "event": "Signed Up",
            "timestamp": TIMESTAMP,
            "messageId": message_id(EVENT_ID, RULE, "track", NOW),
            "context": LIBRARY,
        },
    )
    assert pair.warnings == ()


def test_the_bytes_of_a_sign_up_are_these():
    """Pinned: bytes that change with an upgrade would differ between attempts of one request."""
    assert build(GOLDEN, event_name_override="Signed Up").messages[1].encode() == (
        b'{"userId":"usr_2048","event":"Signed Up","timestamp":"2026-11-23T18:00:00.000Z",'
        b'"messageId":"01M84S1580GD0FWXT3486SSYD3",'
        b'"context":{"library":{"name":"emitonce","version":"0.1.0"}}}'
    )


def test_track_carries_no_property_of_the_payload():
    track = build({**GOLDEN, "properties": {"a": 1}}).messages[1]
    assert "properties" not in track.body
    for value in ("test@example.com", "Test", "pro"):
        assert value not in track.body.values()


def test_messages_are_the_same_bytes_each_time_they_are_built():
    first, second = (build_messages(event(), rule()) for _ in range(2))
    assert first.messages[0].encode() == second.messages[0].encode()
    assert first.messages[1].encode() == second.messages[1].encode()


def test_bytes_are_json_without_blanks_in_utf_8():
    body = build({"userId": "u1", "city": "Łódź", "list": [1, None, True]}).messages[0].encode()
    assert b'"city":"\xc5\x81\xc3\xb3d\xc5\xba","list":[1,null,true]' in body
    assert json.loads(body)["traits"]["city"] == "Łódź"


@pytest.mark.parametrize(
    "value",
    [
        [-0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1e16, 1e22, 100.0],
        [2**53 + 1, 2**64, 10**300, -(10**30)],
        '\u2028\x7f"\\/é😀\n',
        {"z": 1, "a": {"y": [{}], "b": None}},
    ],
)
def test_a_message_read_back_from_the_engine_is_the_same_bytes(value):
    message = Message(call="identify", body={"traits": {"value": value}})
    assert Message.model_validate_json(message.model_dump_json()).encode() == message.encode()


def test_both_calls_carry_the_events_own_time_in_milliseconds():
    pair = build_messages(event(timestamp="2026-11-23T20:00:00.987654+02:00"), rule())
    for message in (pair.messages[0], pair.messages[1]):
        assert message.body["timestamp"] == "2026-11-23T18:00:00.987Z"


def test_the_calls_of_one_delivery_have_different_ids():
    pair = build(GOLDEN)
    assert pair.messages[0].body["messageId"] != pair.messages[1].body["messageId"]


def test_an_event_is_called_by_the_rule_else_by_the_mapping_else_by_its_own_name():
    assert named({}) == "user.signup"
    assert named({"event_name_override": "Joined"}) == "Joined"
    assert named({"event_name_override": "Joined"}, event_name_override="Signed Up") == "Signed Up"
    stored = mapping(path("userId", "userId"), path("event_name_override", "kind"))
    assert named({"kind": "Upgraded"}, mapping=stored) == "Upgraded"


@pytest.mark.parametrize("blank", [None, "", " "])
def test_a_blank_override_counts_as_absent(blank):
    assert named({"event_name_override": blank}, event_name_override=blank) == "user.signup"


def test_a_number_as_override_becomes_text():
    assert named({"event_name_override": 404}) == "404"


@pytest.mark.parametrize("value", [True, [], {"name": "x"}])
def test_an_override_of_another_kind_is_refused(value):
    with pytest.raises(MappingError, match="it must be a string") as caught:
        named({"event_name_override": value})
    assert caught.value.field == "event_name_override"


def test_warnings_of_the_mapping_are_told_with_the_delivery():
    stored = mapping(
        path("userId", "userId"), path("age", "age", {"type": "to_number"}, on_error="warn_action")
    )
    warnings = build({"userId": "u1", "age": "old"}, mapping=stored).warnings
    assert len(warnings) == 1
    assert warnings[0].startswith("age: left out, since to_number")


def test_an_empty_payload_is_still_delivered():
    pair = build({})
    assert pair.messages[0].body["traits"] == {}
    assert pair.messages[1].body["anonymousId"] == pair.messages[0].body["anonymousId"]


def test_a_request_of_32_000_bytes_passes_and_one_more_does_not():
    payload = {"userId": "u1", **{f"t{i:02}": "x" * 1_000 for i in range(31)}}
    room = 32_000 - len(build({**payload, "last": ""}).messages[0].encode())
    assert 0 < room < 1_000
    assert len(build({**payload, "last": "x" * room}).messages[0].encode()) == 32_000
    with pytest.raises(MappingError, match="identify: the request is 32,001 bytes long"):
        build({**payload, "last": "x" * (room + 1)})
