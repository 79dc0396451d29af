"""Any Temporal SDK may start `DeliverEvent`, rightly or wrongly; a wrong start ends it at once.

The client here is a plain one with the SDK's own converter: nothing of ours starts the runs. A
workflow task must never fail, since the engine would try it again forever.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ApplicationError

from destinations.customerio.simulator import Fault
from tests.integration.run_history import task_failures
from tests.integration.stack import Stack, eventually, is_held, waits

PAYLOAD = {"userId": "usr_2048", "email": "test@example.com", "plan": "pro"}


def raw(data: bytes, encoding: bytes | None = b"json/plain", **metadata: bytes) -> RawValue:
    named = {"encoding": encoding} if encoding is not None else {}
    return RawValue(Payload(metadata={**named, **metadata}, data=data))


def event(workspace: str, **fields: Any) -> dict[str, Any]:
    return {"workspace": workspace, "event": "user.signup", "payload": PAYLOAD, **fields}


def without(name: str) -> Callable[[str], list[Any]]:
    return lambda workspace: [{k: v for k, v in event(workspace).items() if k != name}]


def text(workspace: str, old: str, new: str) -> bytes:
    return json.dumps(event(workspace)).replace(old, new).encode()


# What is sent, given a workspace's id, and what the run says of it.
STARTS: dict[str, tuple[Callable[[str], list[Any]], str]] = {
    "no_argument": (lambda _: [], "input: one JSON object is needed, 0 arguments were given"),
    "two_arguments": (lambda w: [event(w), event(w)], "input: one JSON object is needed, 2"),
    "two_foreign_arguments": (lambda _: [raw(b"\xff", b"x/y"), raw(b"", None)], "2 arguments"),
    "null": (lambda _: [None], "input: is not JSON"),
    "json_null": (lambda _: [raw(b"null")], "input: must be one JSON object, not null"),
    "a_list": (lambda w: [[event(w)]], "input: must be one JSON object, not a list"),
    "a_string": (lambda _: ["user.signup"], "input: must be one JSON object"),
    "a_number": (lambda _: [42], "input: must be one JSON object"),
    "bytes": (lambda _: [b"\x00\x01"], "input: is not JSON"),
    "foreign_encoding": (lambda _: [raw(b"\x0a\x03abc", b"binary/protobuf")], "input: is not JSON"),
    "no_encoding": (lambda _: [raw(b"{}", None)], "input: is not JSON"),
    "encoding_that_is_no_text": (lambda _: [raw(b"{}", b"\xff\xfe")], "input: is not JSON"),
    "broken_json": (lambda _: [raw(b'{"workspace":')], "input: is not JSON"),
    "empty": (lambda _: [raw(b"")], "input: is not JSON"),
    "utf_16": (lambda w: [raw(json.dumps(event(w)).encode("utf-16"))], "input: is not UTF-8"),
    "byte_order_mark": (lambda w: [raw(b"\xef\xbb\xbf{}")], "input: starts with a byte order mark"),
    "nested_10000_deep": (
        lambda w: [raw(text(w, '"pro"', "[" * 10_000 + "]" * 10_000))],
        "input: is nested deeper than",
    ),
    "10000_brackets_that_never_close": (lambda _: [raw(b"[" * 10_000)], "is nested deeper than"),
    "nan": (lambda w: [raw(text(w, '"pro"', "NaN"))], "input: holds NaN"),
    "infinity": (lambda w: [raw(text(w, '"pro"', "-Infinity"))], "input: holds -Infinity"),
    "1e999": (lambda w: [raw(text(w, '"pro"', "1e999"))], "input: holds a number beyond"),
    "5000_digits": (lambda w: [raw(text(w, '"pro"', "9" * 5000))], "input: holds a number"),
    "lone_surrogate": (lambda w: [raw(text(w, '"pro"', r'"\ud800"'))], "half of a surrogate pair"),
    "a_key_twice": (lambda w: [raw(text(w, '"plan"', '"email"'))], "input: has a key twice"),
    "nul_in_the_event": (lambda w: [event(w, event="a\0b")], "event: holds a control character"),
    "no_workspace": (without("workspace"), "workspace: is missing"),
    "no_event": (without("event"), "event: is missing"),
    "no_payload": (without("payload"), "payload: is missing"),
    "payload_is_a_list": (lambda w: [event(w, payload=[])], "payload: must be an object"),
    "payload_is_a_string": (lambda w: [event(w, payload="{}")], "payload: must be an object"),
    "workspace_is_a_number": (lambda _: [event(7)], "workspace: must be a UUID"),  # type: ignore[arg-type]
    "workspace_is_no_uuid": (lambda _: [event("acme")], "workspace: must be a UUID"),
    "workspace_is_unknown": (lambda _: [event(str(uuid.uuid4()))], "workspace: is unknown here"),
    "test_is_a_string": (lambda w: [event(w, test="yes")], "test: must be true or false"),
    "redelivery_of_its_own": (lambda w: [event(w, redelivery={"rules": 1})], "redelivery: is set"),
}


@pytest_asyncio.fixture(scope="module")
async def foreign(temporal: Client) -> Client:
    """As a backend that has never heard of us connects."""
    return await Client.connect(temporal.service_client.config.target_host)


async def start(
    foreign: Client, stack: Stack, args: list[Any], *, id: str | None = None, **options: Any
) -> WorkflowHandle[Any, Any]:
    return await foreign.start_workflow(
        "DeliverEvent",
        args=args,
        id=id or str(uuid.uuid4()),
        task_queue=stack.task_queue,
        **options,
    )


async def failure(run: WorkflowHandle[Any, Any]) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as failed:
        await asyncio.wait_for(run.result(), 20)
    assert isinstance(failed.value.cause, ApplicationError)
    return failed.value.cause


async def test_a_proper_start_is_delivered(foreign: Client, stack: Stack) -> None:
    await stack.rule(override="Signed Up")
    run = await start(foreign, stack, [event(stack.workspace)])
    result = await run.result()
    assert result["event_id"] == run.id
    assert result["status"] == "completed"
    assert [request.call for request in stack.calls()] == ["identify", "track"]
    assert [stored.name for stored in stack.sim.events] == ["Signed Up"]
    log = await stack.log(stack.emitter.get(run.id))
    assert (log.status, log.payload) == ("completed", PAYLOAD)


async def test_unknown_fields_and_upper_case_ids_are_taken(foreign: Client, stack: Stack) -> None:
    await stack.rule()
    fields = event(stack.workspace.upper(), colour="green", resource=None, timestamp=None)
    run = await start(foreign, stack, [fields], id=str(uuid.uuid4()).upper())
    assert (await run.result())["completed_count"] == 1


@pytest.mark.parametrize("case", STARTS)
async def test_a_wrong_start_ends_the_run_in_words(
    foreign: Client, shared_stack: Stack, case: str
) -> None:
    args, message = STARTS[case]
    run = await start(foreign, shared_stack, args(shared_stack.workspace))
    cause = await failure(run)
    assert cause.type == "InvalidEvent"
    assert cause.non_retryable
    assert message in cause.message
    assert "test@example.com" not in cause.message
    assert cause.details[0].keys() == {"field", "reason"}
    assert not await task_failures(foreign, run.id)
    assert not shared_stack.calls()
    log = await shared_stack.log(shared_stack.emitter.get(run.id))
    assert (log.status, log.error) == ("failed", cause.message)


@pytest.mark.parametrize(
    "id", ["order-1042", "test@example.com", "5f0c6a1e3c1b4d7e9a510d6f2b8c7e44"]
)
async def test_an_id_that_is_no_uuid_ends_the_run(
    foreign: Client, shared_stack: Stack, id: str
) -> None:
    run = await start(foreign, shared_stack, [event(shared_stack.workspace)], id=id)
    cause = await failure(run)
    assert (cause.type, cause.message[:12]) == ("InvalidEvent", "workflow id:")
    assert id not in cause.message
    assert not await task_failures(foreign, id)


async def test_a_starter_s_retry_policy_repeats_nothing(foreign: Client, stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400))
    policy = RetryPolicy(maximum_attempts=5)
    run = await start(foreign, stack, [event(stack.workspace)], retry_policy=policy)
    assert (await failure(run)).type == "DeliveryFailed"
    unreadable = await start(foreign, stack, [[]], retry_policy=policy)
    assert (await failure(unreadable)).type == "InvalidEvent"
    assert len(stack.calls()) == 1


@pytest.mark.parametrize("signal", ["connection_resumed", "keep_attempts", "no_such_signal"])
async def test_a_wrong_signal_leaves_the_delivery_alone(
    foreign: Client, stack: Stack, signal: str
) -> None:
    connection = await stack.connection()
    await stack.rule(connection)
    stack.sim.fail("identify", fault=Fault(status=503, headers={"Retry-After": "600"}))
    run = await start(foreign, stack, [event(stack.workspace)])
    handle = stack.emitter.get(run.id)
    await stack.log_when(handle, waits)
    for args in ([], [1], [None], [[]], ["a", "b"], [{"attempts": 1}], [raw(b"[[", b"x/y")]):
        await run.signal(signal, args=args)

    async def seen() -> bool:
        events = (await run.fetch_history()).events
        signaled = [
            e.event_id for e in events if e.HasField("workflow_execution_signaled_event_attributes")
        ]
        done = [
            e.event_id for e in events if e.HasField("workflow_task_completed_event_attributes")
        ]
        return len(signaled) == 7 and max(done) > max(signaled)

    await eventually(seen)
    assert not await task_failures(foreign, run.id)
    assert waits(await stack.log(handle))
    await run.terminate()


async def test_a_wrong_update_is_refused(foreign: Client, stack: Stack) -> None:
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    run = await start(foreign, stack, [event(stack.workspace)])
    handle = stack.emitter.get(run.id)
    await stack.log_when(handle, is_held)
    for args in ([], [1], [None], [{"rule": 5}], [{"rule": "x"}], [{}, {}], [raw(b"[", b"x/y")]):
        with pytest.raises(WorkflowUpdateFailedError):
            await run.execute_update("cancel_delivery", args=args)
    assert not await task_failures(foreign, run.id)
    assert is_held(await stack.log(handle))
    await run.terminate()
