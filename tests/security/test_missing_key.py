"""A worker that lacks a key fails its task, not the event, which goes on when the key arrives."""

from __future__ import annotations

import dataclasses
import uuid

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import RawValue

from delivery.result import Status
from destinations.customerio.simulator import Fault
from emitonce import CannotDecode, EventHandle, InvalidEvent
from emitonce.codec import ENCODING, KEY_ID
from eventlog.log import EventLog
from tests.integration.run_history import task_failures
from tests.integration.stack import SAMPLE, Stack, eventually, waits
from tests.security.conftest import NEW_KEY, OLD_KEY, ring_of, sealing_client


def with_client(stack: Stack, client: Client) -> Stack:
    """The same parts, reached through another client."""
    return dataclasses.replace(stack, client=client)


async def start(stack: Stack, payload: Payload, event_id: str | None = None) -> str:
    handle = await stack.client.start_workflow(
        "DeliverEvent",
        RawValue(payload),
        id=event_id or str(uuid.uuid4()),
        task_queue=stack.task_queue,
    )
    return handle.id


async def is_running(stack: Stack, event_id: str) -> bool:
    described = await stack.client.get_workflow_handle(event_id).describe()
    return described.status is WorkflowExecutionStatus.RUNNING


@pytest.mark.slow
async def test_a_missing_key_fails_the_task_and_the_event_goes_on_with_it(
    sealed: Stack, temporal: Client
) -> None:
    await sealed.rule()
    handle = await sealed.emit()
    lacking = with_client(sealed, await sealing_client(temporal, NEW_KEY))
    async with lacking.make_worker():
        await eventually(lambda: _has_task_failure(sealed, handle.id))
    assert await is_running(sealed, handle.id)
    [failure] = await task_failures(sealed.client, handle.id)
    cause = failure.workflow_task_failed_event_attributes.failure
    assert cause.application_failure_info.type == "CannotDecode"
    assert sealed.calls() == []

    having = with_client(sealed, await sealing_client(temporal, NEW_KEY | OLD_KEY))
    async with having.make_worker():
        log = await having.ended(seen_by(having, handle.id))
    assert log.status is Status.COMPLETED
    assert [request.call for request in sealed.calls()] == ["identify", "track"]


async def _has_task_failure(stack: Stack, event_id: str) -> bool:
    return bool(await task_failures(stack.client, event_id))


async def test_a_worker_without_any_key_takes_no_event_for_garbage(
    sealed: Stack, temporal: Client
) -> None:
    await sealed.rule()
    handle = await sealed.emit()
    async with with_client(sealed, temporal).make_worker():
        await eventually(lambda: _has_task_failure(sealed, handle.id))
    assert await is_running(sealed, handle.id)


async def test_earlier_attempts_with_a_missing_key_are_waited_for_and_kept(
    sealed: Stack, temporal: Client
) -> None:
    """The activity's input is readable, what it carries along is not: the trap of this engine."""
    await sealed.rule()
    both = with_client(sealed, await sealing_client(temporal, OLD_KEY | NEW_KEY))
    sealed.sim.fail("identify", fault=Fault(status=503, delay=1), times=1)
    async with both.make_worker():
        handle = await sealed.emit()
        await eventually(lambda: _received(sealed, 1))
        ring_of(both.client).use("k2")  # from here on, what it writes is of the new key
        await both.log_when(seen_by(both, handle.id), waits)

    only_old = sealed
    async with only_old.make_worker():
        await eventually(lambda: _refused(sealed, handle.id))
    assert await is_running(sealed, handle.id)

    async with both.make_worker():
        log = await both.ended(seen_by(both, handle.id))
    assert log.status is Status.COMPLETED
    [first, *between, last] = log.deliveries[0].identify.attempts
    assert (first.status_code, last.status_code) == (503, 200)
    assert between
    for attempt in between:
        assert attempt.request_made is False
        assert attempt.message.endswith("the key is missing, so no request was made")


@pytest.mark.slow
async def test_a_message_with_a_missing_key_is_no_request_that_may_have_been_made(
    sealed: Stack, temporal: Client
) -> None:
    """Its attempts so far are sealed, too, and handed on as they are."""
    await sealed.rule()
    sealed.sim.fail("identify", fault=Fault(status=503, headers={"Retry-After": "6"}), times=1)
    async with sealed.make_worker():
        handle = await sealed.emit()
        await sealed.log_when(handle, waits)
    lacking = with_client(sealed, await sealing_client(temporal, NEW_KEY))
    async with lacking.make_worker():
        await eventually(lambda: _refused(sealed, handle.id))
    both = with_client(sealed, await sealing_client(temporal, OLD_KEY | NEW_KEY))
    async with both.make_worker():
        log = await both.ended(seen_by(both, handle.id))
    assert log.status is Status.COMPLETED
    [first, *between, last] = log.deliveries[0].identify.attempts
    assert (first.status_code, last.status_code) == (503, 200)
    assert between
    assert all(attempt.request_made is False for attempt in between)
    assert len(sealed.calls()) == 3


def seen_by(stack: Stack, event_id: str) -> EventHandle:
    """The event as this stack's client, with its keys, sees it."""
    return EventHandle(stack.client, event_id)


async def _received(stack: Stack, count: int) -> bool:
    return len(stack.calls()) >= count


async def _refused(stack: Stack, event_id: str) -> bool:
    """Whether a try was made that could not read what the one before had written."""
    described = await stack.client.get_workflow_handle(event_id).describe()
    return any(
        info.last_failure.application_failure_info.type == "CannotDecode"
        for info in described.raw_description.pending_activities
    )


async def test_who_reads_without_the_key_is_told_so(sealed: Stack, temporal: Client) -> None:
    await sealed.rule()
    handle = await sealed.emit()
    async with sealed.make_worker():
        await handle.result()
    lacking = with_client(sealed, await sealing_client(temporal, NEW_KEY))
    with pytest.raises(CannotDecode, match="'k1'"):
        await lacking.log(handle)
    with pytest.raises(CannotDecode, match="'k1'"):
        await seen_by(lacking, handle.id).result()


async def test_plain_events_of_other_starters_are_delivered(sealed: Stack) -> None:
    await sealed.rule()
    body = f'{{"workspace":"{sealed.workspace}","event":"user.signup","payload":{{"userId":"u1"}}}}'
    event_id = await start(
        sealed, Payload(metadata={"encoding": b"json/plain"}, data=body.encode())
    )
    async with sealed.make_worker():
        log: EventLog = await sealed.ended(seen_by(sealed, event_id))
    assert log.status is Status.COMPLETED
    assert [request.body["userId"] for request in sealed.calls()] == ["u1", "u1"]


@pytest.mark.parametrize(
    "payload",
    [
        Payload(metadata={"encoding": b"json/plain"}, data=b"{"),
        Payload(metadata={"encoding": b"binary/plain"}, data=b"\x00\x01"),
        Payload(metadata={"encoding": b"binary/unheard-of"}, data=b"?"),
        Payload(data=b"?"),
    ],
    ids=["no JSON", "bytes", "unknown encoding", "no encoding"],
)
async def test_plain_garbage_still_fails_the_event(sealed: Stack, payload: Payload) -> None:
    event_id = await start(sealed, payload)
    async with sealed.make_worker():
        with pytest.raises(InvalidEvent):
            await seen_by(sealed, event_id).result()


@pytest.mark.parametrize("change", ["bit", "cut", "another event's", "wrong key"])
async def test_a_tampered_event_is_neither_delivered_nor_ended(
    sealed: Stack, temporal: Client, change: str
) -> None:
    """Whatever a tampered payload said, someone has to look: it is left to the operator."""
    await sealed.rule()
    handle = await sealed.emit()
    history = await sealed.client.get_workflow_handle(handle.id).fetch_history()
    [stored] = history.events[0].workflow_execution_started_event_attributes.input.payloads
    assert stored.metadata["encoding"] == ENCODING
    if change == "bit":
        stored.data = stored.data[:-1] + bytes([stored.data[-1] ^ 1])
    elif change == "cut":
        stored.data = stored.data[:27]
    elif change == "wrong key":
        other = await sealing_client(temporal, {"k1": b"x" * 32})
        [stored] = await other.data_converter.encode([SAMPLE])
        assert stored.metadata[KEY_ID] == b"k1"
    await sealed.client.get_workflow_handle(handle.id).terminate()
    # A client that seals nothing hands the payload on as it is.
    tampered = await start(with_client(sealed, temporal), stored)
    async with sealed.make_worker():
        await eventually(lambda: _has_task_failure(sealed, tampered))
    assert await is_running(sealed, tampered)
    assert sealed.calls() == []
    [failure] = await task_failures(sealed.client, tampered)
    assert "usr_2048" not in str(failure)


async def test_the_stored_event_names_its_key_and_what_it_is_bound_to(sealed: Stack) -> None:
    handle = await sealed.emit()
    history = await sealed.client.get_workflow_handle(handle.id).fetch_history()
    assert history.events[0].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    [stored] = history.events[0].workflow_execution_started_event_attributes.input.payloads
    assert dict(stored.metadata) == {
        "encoding": ENCODING,
        KEY_ID: b"k1",
        "emitonce-event": handle.id.encode(),
    }
