"""A large or intricate event is refused before it is parsed, or costs no more than it is worth."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import JsonValue

from delivery.size import LARGEST_PAYLOAD, MOST_VALUES
from delivery.strict_json import parse
from emitonce import Emitter, InvalidEvent
from starter.api.bodies import LARGEST_BODY
from tests.api.caller import Api, assert_error, open_api
from tests.integration.stack import Stack

EMPTY = b'{"event":"a","payload":{"a":""}}'


def body_of(size: int) -> bytes:
    return EMPTY[:-3] + b"x" * (size - len(EMPTY)) + EMPTY[-3:]


def payload_of(values: int) -> dict[str, Any]:
    """The object, its list, and what is in the list."""
    return {"a": [[]] * (values - 2)}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How large was what the API parsed."""
    sizes: list[int] = []

    def counting(data: bytes) -> JsonValue:
        sizes.append(len(data))
        return parse(data)

    monkeypatch.setattr("starter.api.bodies.parse", counting)
    return sizes


async def test_body_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not(api: Api) -> None:
    assert (await api.emit(body_of(LARGEST_PAYLOAD))).status_code == 201
    answer = await api.emit(body_of(LARGEST_PAYLOAD + 1))
    assert_error(answer, 413, "body")
    assert "262,144" in answer.text


async def test_ten_thousand_values_are_accepted_and_one_more_is_not(api: Api) -> None:
    accepted = await api.emit({"event": "a", "payload": payload_of(MOST_VALUES)})
    assert accepted.status_code == 201
    answer = await api.emit({"event": "a", "payload": payload_of(MOST_VALUES + 1)})
    assert_error(answer, 413, "payload")
    assert "10,000" in answer.text


@pytest.mark.parametrize("comma", [b",", b"\\u002c"])
async def test_commas_in_text_are_not_counted(api: Api, comma: bytes) -> None:
    text = comma * (LARGEST_PAYLOAD // len(comma) - 100)
    answer = await api.emit(b'{"event":"a","payload":{"a":"' + text + b'"}}')
    assert answer.status_code == 201
    read = await api.get(f"/events/{answer.json()['event']['id']}/payload")
    assert read.json()["payload"] == {"a": "," * (len(text) // len(comma))}


@pytest.mark.parametrize("odd", [b"", b'"\\u0000",', b'"\\ud83d\\ude00",'])
async def test_a_megabyte_of_lists_is_refused_before_it_is_parsed(
    api: Api, parsed: list[int], odd: bytes
) -> None:
    lists = b"[]," * 80_000 + odd
    for body, path in (
        (b'{"event":"a","payload":{"a":[' + lists + b"1]}}", "/events"),
        (b'[{"event":"a","payload":{"a":[' + lists + b"1]}}]", "/events/bulk"),
    ):
        assert_error(await api.emit(body, path=path), 413, "body")
    rule = await api.stack.rule()
    for path in (f"/rules/{rule.id}/preview", f"/rules/{rule.id}/test"):
        trial = b'{"payload":{"a":[' + lists + b"1]}}"
        assert_error(await api.call("POST", path, content=trial), 413, "body")
    assert parsed == []


async def test_hundred_small_events_fill_a_batch_to_its_limits(api: Api) -> None:
    values = 20_000 // 100 - 2  # the event and its name
    one = {"event": "a", "payload": payload_of(values)}
    batch = [one] * 99 + [{"event": "a", "payload": payload_of(values - 1)}]
    answer = await api.emit(batch, path="/events/bulk")
    assert (answer.status_code, answer.json()["count"]) == (201, 100)
    assert_error(await api.emit([one] * 100, path="/events/bulk"), 413, "body")

    size = (LARGEST_BODY - 101) // 100
    full = b"[" + b",".join([body_of(size)] * 100) + b"]"
    full += b" " * (LARGEST_BODY - len(full))
    assert (await api.emit(full, path="/events/bulk")).json()["count"] == 100
    assert_error(await api.emit(full + b" ", path="/events/bulk"), 413, "body")


async def test_event_of_a_batch_that_is_too_large_is_refused_alone(api: Api) -> None:
    large = {"event": "a", "payload": payload_of(MOST_VALUES + 1)}
    answer = await api.emit([{"event": "a", "payload": {}}, large], path="/events/bulk")
    assert answer.status_code == 207
    accepted, refused = answer.json()["records"]
    assert accepted["id"]
    assert refused["message"] == "Content Too Large"


async def test_limit_of_bytes_can_be_lowered(stack: Stack) -> None:
    async with open_api(stack, largest_payload=1_024) as api:
        assert (await api.emit(body_of(1_024))).status_code == 201
        assert_error(await api.emit(body_of(1_025)), 413, "body")
        batch = [{"event": "a", "payload": {"a": "x" * 2_000}}]
        answer = await api.emit(batch, path="/events/bulk")
        assert "limit 1,024" in answer.json()["records"][0]["error"]["message"]


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({"a": "x" * LARGEST_PAYLOAD}, "payload: is 262,152 bytes, limit 262,144"),
        (payload_of(MOST_VALUES + 1), "payload: holds more than 10,000 JSON values"),
    ],
)
async def test_emitter_refuses_at_once_what_is_too_large(
    stack: Stack, payload: dict[str, Any], told: str
) -> None:
    emitter = Emitter(stack.client, workspace=stack.workspace, task_queue=stack.task_queue)
    with pytest.raises(InvalidEvent, match=told):
        await emitter.emit("a", payload)
