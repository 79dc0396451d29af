"""What a backend can do wrong through the Emitter ends once, visibly, and in words that help."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from destinations.customerio.simulator import Fault
from emitonce import DeliveryFailed, EmitError, InvalidEvent
from emitonce.event import is_uuid
from operations.steering import cancel_delivery, cancel_event
from tests.integration.run_history import task_failures
from tests.integration.stack import SAMPLE, Stack


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"in": value}
    return value


def in_itself() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


AT_ONCE: dict[str, tuple[dict[str, Any], str]] = {
    "payload_is_a_list": ({"payload": [1]}, "payload: must be a mapping, not list"),
    "payload_is_a_string": ({"payload": "{}"}, "payload: must be a mapping, not str"),
    "nan": ({"payload": {"score": float("nan")}}, "payload.score: is NaN or an infinity"),
    "infinity": (
        {"payload": {"items": [{"price": 1}, {"price": Decimal("Infinity")}]}},
        "payload.items[1].price: is NaN or an infinity",
    ),
    "lone_surrogate": ({"payload": {"name": "\ud800"}}, "payload.name: holds half of a surrogate"),
    "lone_surrogate_in_a_key": ({"payload": {"\udfff": 1}}, "half of a surrogate pair"),
    "nul": ({"payload": {"note": "a\0b"}}, "payload.note: holds a NUL character"),
    "an_object_that_is_no_json": (
        {"payload": {"order": {"lines": {1, 2}}}},
        "payload.order.lines: is of type set, which is not JSON",
    ),
    "bytes": ({"payload": {"raw": b"\x00"}}, "payload.raw: is of type bytes, which is not JSON"),
    "a_key_that_is_no_string": ({"payload": {"a": {(1, 2): 3}}}, "has a key of type tuple"),
    "a_key_twice": ({"payload": {"a": {1: 2, "1": 3}}}, "payload.a.1: stands twice"),
    "a_number_beyond_a_double": ({"payload": {"n": 10**400}}, "payload.n: is a number beyond"),
    "a_key_that_holds_an_address": (
        {"payload": {"test@example.com": b"x"}},
        "payload.(a key that holds an @): is of type bytes",
    ),
    "nested_57_deep": ({"payload": nested(57)}, "payload: is nested deeper than 56"),
    "nested_10000_deep": ({"payload": nested(10_000)}, "payload: is nested deeper than 56"),
    "in_itself": ({"payload": in_itself()}, "payload: is nested deeper than 56"),
    "2_mb": ({"payload": {"text": "x" * 2_100_000}}, "payload: is 2,100,011 bytes"),
    "naive_timestamp": (
        {"timestamp": datetime(2026, 11, 23)},
        "timestamp: has no time zone",
    ),
    "timestamp_is_a_number": ({"timestamp": 1_700_000_000}, "timestamp: must be a datetime"),
    "timestamp_without_an_offset": ({"timestamp": "2026-11-23T18:00:00"}, "has no offset"),
    "resource_id_is_blank": ({"resource_id": " "}, "resource_id: must not be blank"),
    "idempotency_key_is_blank": ({"idempotency_key": " "}, "idempotency_key: must be a string"),
}

NAMES_AND_TIMES: dict[str, tuple[dict[str, Any], str]] = {
    "event_is_no_string": ({"event": 5}, "event: must be a string"),
    "event_is_missing": ({"event": None}, "event: must be a string"),
    "event_is_blank": ({"event": "  "}, "event: must not be blank"),
    "event_too_long": ({"event": "x" * 101}, "event: is 101 bytes long, limit 100"),
    "nul_in_the_event": ({"event": "user\0signup"}, "event: holds a control character"),
    "email_as_event": ({"event": "test@example.com"}, "event: holds an e-mail address"),
    "resource_is_no_string": ({"resource": ["project"]}, "resource: must be a string"),
    "resource_id_is_a_number": ({"resource_id": 7}, "resource_id: must be a string"),
    "timestamp_is_no_time": ({"timestamp": "yesterday"}, "timestamp: "),
    "timestamp_before_1970": ({"timestamp": "1969-12-31T23:59:59Z"}, "timestamp: lies before"),
}

IN_THE_RUN: dict[str, tuple[dict[str, Any], str]] = {
    **NAMES_AND_TIMES,
    "only_rules_is_no_list": ({"only_rules": "all"}, "only_rules: must be a list"),
    "nested_65_deep": ({"payload": nested(65)}, "is nested deeper than"),
    "a_number_beyond_a_double": ({"payload": {"n": 10**400}}, "holds a number beyond"),
}

MAPPING_ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "33_kb": (
        {"payload": {**SAMPLE, **{f"t{n}": "x" * 900 for n in range(37)}}},
        "limit is 32,000",
    ),
    "250_kb": ({"payload": {**SAMPLE, "bio": "x" * 250_000}}, "limit 1,000"),
    "nul": ({"payload": {**SAMPLE, "note": "a\0b"}}, "holds a NUL character; remove it"),
    "an_id_of_customer_io_s_own": ({"payload": {"userId": "cio_03000001"}}, "userId"),
    "a_command_as_event": ({"event": "User Deleted"}, "User Deleted"),
    "user_id_is_an_object": ({"payload": {"userId": {"a": 1}}}, "userId"),
    "user_id_is_too_long": ({"payload": {"userId": "u" * 151}}, "userId"),
}


@pytest.mark.parametrize("case", AT_ONCE | NAMES_AND_TIMES)
async def test_what_can_not_be_read_is_refused_at_once(shared_stack: Stack, case: str) -> None:
    fields, message = (AT_ONCE | NAMES_AND_TIMES)[case]
    given = {"event": "user.signup", "payload": SAMPLE, **fields}
    with pytest.raises(InvalidEvent, match=re.escape(message)) as refused:
        await shared_stack.emitter.emit(workspace=shared_stack.workspace, **given)
    assert len(str(refused.value)) < 300
    assert "test@example.com" not in str(refused.value)


@pytest.mark.parametrize("case", IN_THE_RUN)
async def test_what_nobody_checked_ends_the_run(shared_stack: Stack, case: str) -> None:
    fields, message = IN_THE_RUN[case]
    handle = await shared_stack.emit(**fields)
    with pytest.raises(InvalidEvent, match=re.escape(message)) as refused:
        await handle.result()
    assert "test@example.com" not in str(refused.value)
    log = await shared_stack.log(handle)
    assert log.status == "failed"
    assert log.error == str(refused.value)
    assert not await task_failures(shared_stack.client, handle.id)


@pytest.mark.parametrize(
    ("workspace", "message"),
    [
        ("00000000-0000-4000-8000-000000000000", "workspace: is unknown here"),
        ("acme", "workspace: must be a UUID"),
        ("", "workspace: must be a UUID"),
        (None, "workspace: must be a UUID"),
        ("test@example.com", "workspace: must be a UUID"),
        ("x" * 5_000, "workspace: must be a UUID"),
    ],
)
async def test_an_unknown_workspace_ends_the_run(
    shared_stack: Stack, workspace: str, message: str
) -> None:
    elsewhere = replace(shared_stack, workspace=workspace)
    handle = await elsewhere.emit()
    with pytest.raises(InvalidEvent, match=message):
        await handle.result()
    if not (workspace and is_uuid(workspace)):
        with pytest.raises(EmitError, match="workspace"):
            await shared_stack.emitter.emit("user.signup", SAMPLE, workspace=workspace)
    assert not await task_failures(shared_stack.client, handle.id)


@pytest.mark.parametrize("case", MAPPING_ERRORS)
async def test_what_customer_io_would_not_take_fails_before_any_request(
    stack: Stack, case: str
) -> None:
    fields, message = MAPPING_ERRORS[case]
    rule = await stack.rule(event=fields.get("event", "user.signup"))
    handle = await stack.emit(**fields)
    with pytest.raises(DeliveryFailed) as failed:
        await handle.result()
    [delivery] = failed.value.result["deliveries"]
    assert delivery["rule"] == rule.id
    assert delivery["error"].startswith("mapping_error: ")
    assert message in delivery["error"]
    assert delivery["identify"] is None
    assert delivery["track"] is None
    assert not stack.calls()
    assert not await task_failures(stack.client, handle.id)


async def test_a_large_event_with_many_rules_keeps_no_task_too_long(stack: Stack) -> None:
    """If all its messages were built at once, the workflow task would count as hung, forever."""
    connection = await stack.connection()
    for _ in range(6):
        await stack.rule(connection, on_limit="drop")
    large = {f"t{n}": "x" * 15 for n in range(9_000)}
    handle = await stack.emit(payload={**SAMPLE, **large})
    result = await handle.result()
    assert result["completed_count"] == 6
    assert "accepts 300 per call" in str(result["deliveries"][0]["warnings"])
    assert not await task_failures(stack.client, handle.id)


async def test_a_large_event_canceled_before_its_last_rules_are_reached_ends_as_canceled(
    stack: Stack,
) -> None:
    connection = await stack.connection()
    rules = [await stack.rule(connection, on_limit="drop") for _ in range(3)]
    stack.sim.fail(fault=Fault(status=503, headers={"Retry-After": "600"}))
    large = {f"t{n}": "x" * 15 for n in range(9_000)}
    handle = await stack.emit(payload={**SAMPLE, **large})
    await stack.sim.until(lambda: len(stack.calls()) > 0)
    last = await cancel_delivery(stack.client, handle.id, rules[-1].id)
    assert (last.status, last.identify) == ("canceled", None)
    await cancel_event(stack.client, handle.id)
    log = await stack.ended(handle)
    assert log.status == "canceled"
    assert {delivery.status for delivery in log.deliveries} == {"canceled"}
    assert not await task_failures(stack.client, handle.id)
