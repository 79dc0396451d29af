"""Any client may start an event of two megabytes: it is refused in words, and costs no task.

Events accepted before all workers knew the limits are delivered as before.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from delivery.size import LARGEST_PAYLOAD, MOST_VALUES
from destinations.customerio.simulator import Fault
from eventlog.event_list import list_events
from eventlog.query import EventQuery
from operations.event_redelivery import redeliver
from tests.integration.run_history import task_failures
from tests.integration.stack import Stack, eventually, open_stack

LARGE = {"note": "x" * LARGEST_PAYLOAD}
INTRICATE: dict[str, Any] = {"lists": [[]] * 640_000}


async def start(stack: Stack, payload: dict[str, Any]) -> WorkflowHandle[Any, Any]:
    fields = {
        "workspace": stack.workspace,
        "event": "user.signup",
        "payload": {"userId": "usr_2048", **payload},
    }
    data = json.dumps(fields, separators=(",", ":")).encode()
    return await stack.client.start_workflow(
        "DeliverEvent",
        RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data)),
        id=str(uuid.uuid4()),
        task_queue=stack.task_queue,
    )


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (LARGE, "payload: is 262,175 bytes, limit 262,144"),
        (INTRICATE, "input: is 1,920,116 bytes, limit 262,144"),
        ({"lists": [[]] * MOST_VALUES}, "payload: holds more than 10,000 JSON values"),
    ],
)
async def test_too_large_an_event_ends_as_invalid_and_is_found_in_its_workspace(
    stack: Stack, payload: dict[str, Any], told: str
) -> None:
    await stack.rule(on_limit="drop")
    run = await start(stack, payload)
    with pytest.raises(WorkflowFailureError) as failed:
        await asyncio.wait_for(run.result(), 20)
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message[: len(told)]) == ("InvalidEvent", told)
    assert not await task_failures(stack.client, run.id)
    assert not stack.calls()
    log = await stack.log(stack.emitter.get(run.id))
    assert (log.status, log.error) == ("failed", cause.message)

    async def listed() -> bool:
        page = await list_events(stack.client, EventQuery((stack.workspace,)), limit=10)
        return [(one.event_id, one.status, one.rules) for one in page.events] == [
            (run.id, "failed", ())
        ]

    await eventually(listed)


@pytest.mark.parametrize("since", [None, timedelta(hours=1)])
@pytest.mark.parametrize("payload", [LARGE, {"lists": [[]] * 2 * MOST_VALUES}])
async def test_event_accepted_before_the_limits_is_delivered(
    stack: Stack, payload: dict[str, Any], since: timedelta | None
) -> None:
    stack.limited_since = since and datetime.now(UTC) + since
    await stack.rule(on_limit="drop")
    run = await start(stack, payload)
    assert (await run.result())["completed_count"] == 1
    assert not await task_failures(stack.client, run.id)


async def test_event_accepted_before_the_limits_is_redelivered_under_them(stack: Stack) -> None:
    stack.limited_since = None
    await stack.rule(on_limit="drop")
    stack.sim.fail("identify", fault=Fault(status=400), times=1)
    run = await start(stack, LARGE)
    with pytest.raises(WorkflowFailureError):
        await run.result()
    stack.limited_since = datetime.now(UTC)
    await redeliver(stack.client, run.id)
    again = await stack.client.get_workflow_handle(run.id).result()
    assert again["completed_count"] == 1


@pytest.mark.slow
async def test_event_held_before_the_limits_goes_on_under_them(stack: Stack) -> None:
    stack.limited_since = None
    connection = await stack.connection()
    await stack.rule(connection, on_limit="drop")
    stack.sim.fail("identify", fault=Fault(status=503, headers={"Retry-After": "1"}), times=1)
    run = await start(stack, LARGE)
    await stack.sim.until(lambda: len(stack.calls()) == 1)
    stack.limited_since = datetime.now(UTC) - timedelta(hours=1)
    assert (await run.result())["completed_count"] == 1


async def test_event_queued_before_the_limits_is_delivered_by_who_knows_them(
    temporal: Any, database: str
) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        await stack.rule(on_limit="drop")
        run = await start(stack, LARGE)
        described = await run.describe()
        stack.limited_since = described.start_time + timedelta(milliseconds=1)
        async with stack.make_worker():
            assert (await run.result())["completed_count"] == 1
