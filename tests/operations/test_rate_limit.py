"""A connection is sent to no faster than it may be, however many workers there are."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

import pytest
from temporalio.client import Client

from destinations.customerio.simulator import Fault
from destinations.mailchimp.simulator import KEY, NEWS, MailchimpSimulator
from destinations.registry import BY_TYPE
from emitonce import EventHandle
from engine.connect import connect
from tests.integration.stack import Stack, eventually, open_stack
from tests.operations.many import all_ended, calls_by_person, emit_many
from tests.operations.processes import worker_processes
from tests.tiny_destinations import NOTES, receiver
from worker import make_worker

PER_SECOND = 15
WINDOW = 3.0
# The rate is nine tenths of the limit: requests that are on their way may bunch up.
MOST_IN_WINDOW = WINDOW * PER_SECOND / 0.9


def most_within(times: list[float], seconds: float) -> int:
    times = sorted(times)
    return max(bisect_left(times, start + seconds) - nth for nth, start in enumerate(times))


@pytest.mark.slow
async def test_two_worker_processes_stay_below_the_limit_together(
    temporal: Client, database: str
) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        connection = await stack.connection()
        await stack.rule(connection)
        await stack.catalog.connections.update(
            stack.organization, connection.id, requests_per_second=PER_SECOND
        )
        handles = await emit_many(stack, (f"person-{number}" for number in range(45)))
        async with worker_processes(stack, 2) as pids:
            await all_ended(stack, handles.values())
        received = [request.received for request in stack.sim.requests]
        assert most_within(received, WINDOW) <= MOST_IN_WINDOW
        assert calls_by_person(stack) == dict.fromkeys(handles, 2)
        assert len(await workers_of(stack, [handle.id for handle in handles.values()])) == len(pids)


async def workers_of(stack: Stack, event_ids: list[str]) -> set[str]:
    """Who ran the activities."""
    found: set[str] = set()
    for id in event_ids:
        history = await stack.client.get_workflow_handle(id).fetch_history()
        found |= {
            event.activity_task_started_event_attributes.identity
            for event in history.events
            if event.HasField("activity_task_started_event_attributes")
        }
    return found


@pytest.mark.slow
async def test_waiting_for_a_turn_is_no_attempt(stack: Stack) -> None:
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.catalog.connections.update(stack.organization, connection.id, requests_per_second=2)
    handles = await emit_many(stack, (f"person-{number}" for number in range(4)))
    await all_ended(stack, handles.values())
    throttled = 0
    for handle in handles.values():
        [delivery] = (await stack.log(handle)).deliveries
        assert delivery.identify is not None
        assert delivery.track is not None
        for call in (delivery.identify, delivery.track):
            assert [attempt.outcome_code for attempt in call.attempts] == ["delivered"]
        history = await stack.client.get_workflow_handle(handle.id).fetch_history()
        throttled += sum(
            event.activity_task_started_event_attributes.attempt > 1
            for event in history.events
            if event.HasField("activity_task_started_event_attributes")
        )
    assert throttled, "nobody had to wait, so nothing was shown"


async def test_too_many_requests_slows_the_connection_for_everyone(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=429, headers={"Retry-After": "4"}), times=1)
    other = await connect(stack.client.service_client.config.target_host)
    async with make_worker(other, stack.catalog, stack.clients, stack.settings):
        first = await emit_many(stack, ("first",))
        await stack.sim.until(lambda: any(r.answered for r in stack.sim.requests))
        others = await emit_many(stack, (f"person-{number}" for number in range(10)))
        await all_ended(stack, [*first.values(), *others.values()])
    answered = stack.sim.requests[0].answered
    assert answered is not None
    assert all(request.received - answered >= 4 for request in stack.sim.requests[1:])
    assert calls_by_person(stack, "track") == dict.fromkeys([*first, *others], 1)


@pytest.mark.slow
async def test_a_pause_is_told_to_all_workers_for_each_connection_of_the_account(
    stack: Stack,
) -> None:
    mailchimp: MailchimpSimulator = stack.simulators["mailchimp"]
    mailchimp.service.keys = {KEY, "abc-us6"}
    made = [
        await stack.catalog.connections.create(
            stack.organization,
            workspace=stack.workspace,
            type="mailchimp",
            name=key,
            fields={"api_key": key},
            created_by="test",
        )
        for key in (KEY, KEY, "abc-us6")
    ]
    for connection in made:
        await stack.rule(connection, action="add_to_list", id=NEWS)
    await all_ended(stack, (await emit_many(stack, ("first",))).values())
    limited = Fault(status=429, headers={"Retry-After": "4"})
    mailchimp.fail("member", fault=limited, key=KEY, times=1)
    await all_ended(stack, (await emit_many(stack, ("second",))).values())
    told = [
        (await stack.catalog.credentials.credential(stack.workspace, one.id)).slowed_until
        for one in made
    ]
    assert told[0] is not None
    assert told[1] is not None
    assert told[2] is None


@pytest.mark.slow
@pytest.mark.parametrize("told_by", ["an answer here", "another worker"])
async def test_who_waits_in_the_worker_is_not_sent_once_its_connection_is_stopped(
    stack: Stack, told_by: str
) -> None:
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.catalog.connections.update(stack.organization, connection.id, requests_per_second=1)
    asked = {"Retry-After": "3"} if told_by == "an answer here" else {}
    stack.sim.fail("identify", fault=Fault(status=429, delay=0.8, headers=asked), times=1)
    handles = await emit_many(stack, (f"person-{number}" for number in range(3)))
    await stack.sim.until(lambda: any(request.answered for request in stack.sim.requests))
    stopped = stack.sim.requests[0].answered
    assert stopped is not None
    if told_by == "another worker":
        await stack.catalog.credentials.slow_down(connection.id, 3)
    await all_ended(stack, handles.values())
    assert min(request.received for request in stack.sim.requests[1:]) - stopped >= 3
    assert calls_by_person(stack, "track") == dict.fromkeys(handles, 1)


async def tries(stack: Stack, handle: EventHandle) -> list[int]:
    """How often each activity of an event that has ended was tried."""
    history = await stack.client.get_workflow_handle(handle.id).fetch_history()
    return [
        event.activity_task_started_event_attributes.attempt
        for event in history.events
        if event.HasField("activity_task_started_event_attributes")
    ]


@pytest.mark.slow
async def test_one_event_that_always_fails_does_not_hold_up_its_connection(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.connection_limiter.FAILING", 3)
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503, headers={"Retry-After": "1"}))
    [failing] = (await emit_many(stack, ("failing",))).values()
    await stack.sim.until(lambda: len(stack.sim.requests) == 5)
    stack.sim.clear_faults()
    others = await emit_many(stack, (f"person-{number}" for number in range(4)))
    await all_ended(stack, [failing, *others.values()])
    assert [await tries(stack, other) for other in others.values()] == [[1, 1]] * 4


async def test_a_connection_that_only_fails_is_probed_and_opened_by_one_success(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.connection_limiter.FAILING", 3)
    await stack.rule()
    stack.sim.fail(fault=Fault(status=503, headers={"Retry-After": "1"}))
    handles = await emit_many(stack, (f"person-{number}" for number in range(30)))

    async def all_tried() -> bool:
        for handle in handles.values():
            described = await stack.client.get_workflow_handle(handle.id).describe()
            pending = described.raw_description.pending_activities
            if not pending or not pending[0].HasField("last_failure"):
                return False
        return True

    await eventually(all_tried, within=30)
    assert len(stack.sim.requests) < 15
    stack.sim.clear_faults()
    await all_ended(stack, handles.values())
    assert calls_by_person(stack, "track") == dict.fromkeys(handles, 1)


@pytest.mark.slow
async def test_a_destination_names_what_has_a_rate_of_its_own(
    tiny: None, temporal: Client, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_title = replace(
        NOTES, requests_per_second=1, paced_by=lambda message: str(message.body["title"])
    )
    monkeypatch.setitem(BY_TYPE, NOTES.type, by_title)
    with receiver() as (address, received):
        async with open_stack(temporal, database) as stack:
            connection = await stack.catalog.connections.create(
                stack.organization,
                workspace=stack.workspace,
                name="Notes",
                type=NOTES.type,
                fields={"address": address},
                created_by="test",
            )
            for title in ("busy", "idle"):
                await stack.rule(connection, title, action="send_note", title=title)
            busy = await emit_many(stack, map(str, range(6)), "busy")

            async def some_received() -> bool:
                return bool(received)

            await eventually(some_received)
            idle = await emit_many(stack, ("one",), "idle")
            await all_ended(stack, [*busy.values(), *idle.values()])
    titles = [one.body["title"] for one in received]
    assert sorted(titles) == ["busy"] * 6 + ["idle"]
    assert titles.index("idle") <= 2
