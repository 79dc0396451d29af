"""A try under way says so: only a worker that has died is taken for dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.history.v1 import ActivityTaskStartedEventAttributes, HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.call import CALL_POLICY
from activities.connection_limiter import Try
from activities.rate_limit import Limits, Permit, Throttled
from activities.sender import Sender
from delivery.attempt import AttemptList
from delivery.message import Message
from delivery.step import HEARTBEATS, Carried, Step
from delivery.traffic import Tallies
from destinations.customerio.simulator import Fault
from destinations.registry import this_release
from emitonce import EventCanceled, EventHandle
from eventlog.history import moment
from operations.steering import cancel_event
from tests.guarantees.worker_process import worker_process
from tests.integration.run_history import fetch_history
from tests.integration.stack import Stack, eventually, open_stack
from workflows.delivery import ACTIVITIES

AT_MOST = timedelta(seconds=15)
SHORT = timedelta(seconds=4)
LONGER = Fault(delay=5)
BURST = 20


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timeout for heartbeats of `identify` that a request can exceed."""
    method, policy = ACTIVITIES["identify"]
    monkeypatch.setitem(ACTIVITIES, "identify", (method, replace(policy, heartbeat=SHORT)))


async def events_of(stack: Stack, handle: EventHandle, kind: str) -> list[HistoryEvent]:
    history = await fetch_history(stack.client, handle.id)
    return [
        event
        for event in history.events
        if event.WhichOneof("attributes") == f"{kind}_event_attributes"
    ]


async def last_tries(stack: Stack, handle: EventHandle) -> list[ActivityTaskStartedEventAttributes]:
    """The last try of each call, with the failure of the one before it."""
    started = await events_of(stack, handle, "activity_task_started")
    return [event.activity_task_started_event_attributes for event in started]


async def pending_call(stack: Stack, handle: EventHandle) -> PendingActivityInfo | None:
    described = await stack.client.get_workflow_handle(handle.id).describe()
    return next(iter(described.raw_description.pending_activities), None)


async def heartbeat_seen(stack: Stack, handle: EventHandle, attempt: int = 1) -> None:
    """Wait until the engine has heard from a try that is under way."""

    async def seen() -> bool:
        call = await pending_call(stack, handle)
        return (
            call is not None
            and call.attempt == attempt
            and moment(call.last_heartbeat_time) > moment(call.last_started_time)
        )

    await eventually(seen)


@pytest.mark.slow
async def test_a_killed_worker_s_call_is_made_again_when_its_heartbeats_cease(
    temporal: Client, database: str
) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        await stack.rule()
        stack.sim.fail("identify", fault=Fault(status=503), nth=[1])
        stack.sim.fail("identify", fault=Fault(kind="stall"), nth=[2])
        async with worker_process(stack) as worker:
            handle = await stack.emit()
            await stack.sim.until(lambda: len(stack.calls()) == 2, timeout=30)
            await heartbeat_seen(stack, handle, attempt=2)
            [waiting] = (await stack.log(handle)).deliveries
            assert waiting.identify is not None
            assert [attempt.status_code for attempt in waiting.identify.attempts] == [503]
            await worker.kill()
        async with worker_process(stack):
            await handle.result()

        identified, _ = await last_tries(stack, handle)
        lost = identified.last_failure.timeout_failure_info
        assert identified.attempt == 3
        assert lost.timeout_type == TimeoutType.TIMEOUT_TYPE_HEARTBEAT
        [delivery] = (await stack.log(handle)).deliveries
        assert delivery.identify is not None
        first, unknown, delivered = delivery.identify.attempts
        assert (first.status_code, delivered.status_code) == (503, 200)
        assert (unknown.outcome_code, unknown.request_made) == ("internal_error", None)


@pytest.mark.parametrize("tries", [1, 8, 11])
def test_a_call_is_made_again_within_15_seconds_of_its_worker_s_death(tries: int) -> None:
    """Also after seven failures, or ten tries that only waited for their turn."""
    retry = CALL_POLICY.retry
    assert CALL_POLICY.heartbeat is not None
    wait = retry.initial_interval * retry.backoff_coefficient ** (tries - 1)
    assert CALL_POLICY.heartbeat + wait <= AT_MOST


@pytest.mark.slow
async def test_requests_longer_than_the_timeout_are_not_taken_for_lost(
    stack: Stack, short_timeout: None
) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=LONGER, times=BURST)
    handles = [await stack.emit() for _ in range(BURST)]
    await asyncio.gather(*(handle.result() for handle in handles))
    assert len(stack.calls()) == 2 * len(handles)
    for handle in handles:
        for call in await last_tries(stack, handle):
            assert not call.last_failure.HasField("timeout_failure_info")


@pytest.mark.slow
async def test_a_cancel_heard_with_a_heartbeat_lets_the_request_finish(
    stack: Stack, short_timeout: None
) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=LONGER)
    handle = await stack.emit()
    await stack.sim.until(lambda: len(stack.calls()) == 1)
    await cancel_event(stack.client, handle.id)
    with pytest.raises(EventCanceled):
        await handle.result()
    [tried] = await last_tries(stack, handle)
    assert tried.attempt == 1
    [delivery] = (await stack.log(handle)).deliveries
    assert delivery.identify is not None
    assert [attempt.status_code for attempt in delivery.identify.attempts] == [200]
    assert len(stack.calls()) == 1


@pytest.mark.parametrize("known_to_all", [True, False])
async def test_heartbeats_are_expected_only_if_all_workers_send_them(
    stack: Stack, known_to_all: bool
) -> None:
    """A worker of an older release sends none, so its long requests would be taken for lost."""
    if not known_to_all:
        older = tuple(one for one in this_release().features if one != HEARTBEATS)
        stack.fleet = this_release().model_copy(update={"features": older})
    await stack.rule()
    handle = await stack.emit()
    await handle.result()
    scheduled = await events_of(stack, handle, "activity_task_scheduled")
    expected = {
        event.activity_task_scheduled_event_attributes.heartbeat_timeout.ToTimedelta()
        for event in scheduled
    }
    assert expected == {CALL_POLICY.heartbeat if known_to_all else timedelta(0)}


class Full:
    """A rate limit with no permit to give. It keeps what it is told of each try."""

    def __init__(self) -> None:
        self.tries: list[Try] = []

    @asynccontextmanager
    async def permit(self, connection: str, limits: Limits, one: Try) -> AsyncIterator[Permit]:
        self.tries.append(one)
        raise Throttled(1.0)
        yield


@pytest.mark.parametrize(
    ("attempt", "carried", "ahead"),
    [
        (1, [], False),
        (2, [], True),
        (3, [Carried(tries=2, attempts=AttemptList())], False),
        (3, [Carried(tries=1, attempts=AttemptList())], True),
    ],
)
async def test_a_call_that_lost_its_worker_goes_ahead_of_new_ones(
    stack: Stack, attempt: int, carried: list[Carried], ahead: bool
) -> None:
    """Else it would wait once more behind all that came after it."""
    connection = await stack.connection()
    full = Full()
    store = stack.catalog.credentials
    sender = Sender(stack.clients, store, full, Tallies())  # type: ignore[arg-type]
    step = Step(
        workspace=stack.workspace,
        rule="rule",
        connection=connection.id,
        message=Message(call="identify", body={}),
        deadline=datetime.now(UTC) + timedelta(hours=1),
    )
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt, heartbeat_details=carried)
    with pytest.raises(ApplicationError, match="turn"):
        await environment.run(sender.send, step)
    assert [one.came_back for one in full.tries] == [ahead]
