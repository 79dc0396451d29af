"""The status says what is wrong, whose part it is, what waits and when it is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from catalog.errors import CatalogUnavailable
from catalog.worker_share import WorkerShare
from delivery.outcome import DELIVERY_DEADLINE
from delivery.traffic import Tallies
from destinations.customerio.simulator import US_KEY, Fault
from operations.status import Status
from operations.status_reader import StatusReader
from operations.steering import resume_connection
from operations.traffic import count_waiting, kept_traffic
from tests.integration.stack import Stack, eventually, is_held, open_stack
from tests.operations.many import emit_many
from worker import make_worker


@pytest_asyncio.fixture
async def idle(temporal: Client, database: str, monkeypatch: Any) -> AsyncIterator[Stack]:
    """Without a worker. Whatever is open counts as waiting."""
    monkeypatch.setattr("operations.traffic.WAITS_AFTER", timedelta(0))
    async with open_stack(temporal, database, working=False) as stack:
        yield stack


@asynccontextmanager
async def working(stack: Stack) -> AsyncIterator[None]:
    """A worker that often writes how connections are doing."""
    tallies = Tallies()
    worker = make_worker(
        stack.client, stack.catalog, stack.clients, stack.settings, tallies=tallies
    )
    kept = kept_traffic(
        stack.client,
        stack.catalog.traffic,
        tallies,
        stack.task_queue,
        write_seconds=0.2,
        count_seconds=0.2,
    )
    async with WorkerShare(stack.catalog.workers).kept(), kept, worker:
        yield


async def read(stack: Stack) -> Status:
    reader = StatusReader(stack.client, stack.catalog, stack.task_queue)
    return await reader.read(stack.organization)


async def status_when(stack: Stack, **expected: Any) -> Status:
    """The status as soon as its first connection is as expected."""
    status = await read(stack)

    async def is_so() -> bool:
        nonlocal status
        status = await read(stack)
        shown = status.connections[0].model_dump() if status.connections else {}
        return all(shown.get(name) == value for name, value in expected.items())

    await eventually(is_so, within=30)
    return status


async def delivered(stack: Stack) -> bool:
    return (await read(stack)).connections[0].last_success is not None


async def test_all_is_well_while_events_are_delivered(idle: Stack) -> None:
    async with working(idle):
        await idle.rule()
        await idle.ended(await idle.emit())
        await eventually(lambda: delivered(idle))
        status = await status_when(idle, waiting=0, last_error=None, state="ok")
    assert (status.state, status.workers, status.since, status.lost_at) == ("ok", 1, None, None)
    assert list(status.encode()) == [
        *("state", "since", "connections", "workers", "lost_at", "advice")
    ]


@pytest.mark.slow
async def test_a_vendor_that_only_fails_is_their_side_and_says_when_events_are_lost(
    idle: Stack,
) -> None:
    async with working(idle):
        await idle.rule()
        idle.sim.fail("identify", fault=Fault(status=503))
        event = await idle.emit()
        status = await status_when(idle, state="failing", waiting=1)
        [problem] = status.problems
        assert (status.state, problem.whose, problem.symptom) == ("stuck", "them", "failing")
        assert "Customer.io answers 503 on “Customer io”" in status.advice
        assert status.connections[0].oldest is not None
        assert status.lost_at == status.connections[0].oldest + DELIVERY_DEADLINE
        assert status.lost_at.strftime("%H:%M UTC") in status.advice
        idle.sim.clear_faults()
        await idle.ended(event)
        await status_when(idle, state="ok", waiting=0)
        assert (await read(idle)).state == "ok"


async def test_a_refused_key_is_our_side_until_it_is_replaced(idle: Stack) -> None:
    async with working(idle):
        connection = await idle.connection(api_key="not-the-key")
        await idle.rule(connection)
        event = await idle.emit()
        await idle.log_when(event, is_held)
        status = await status_when(idle, state="inactive", waiting=1)
        [problem] = status.problems
        assert (status.state, problem.whose, problem.symptom) == ("stuck", "us", "inactive")
        assert "refuses the key of “Customer io”" in status.advice
        await idle.catalog.connections.update(
            idle.organization, connection.id, fields={"cdpApiKey": US_KEY}
        )
        await resume_connection(idle.client, connection.id, task_queue=idle.task_queue)
        await idle.ended(event)
        await status_when(idle, state="ok", waiting=0)


async def test_a_paused_connection_degrades_only_while_events_wait(idle: Stack) -> None:
    async with working(idle):
        connection = await idle.connection()
        await idle.rule(connection)
        await idle.catalog.connections.pause(idle.organization, connection.id)
        assert (await read(idle)).state == "ok"
        await idle.emit()
        status = await status_when(idle, state="paused", waiting=1)
        assert (status.state, status.problems[0].symptom) == ("degraded", "paused")


async def test_without_a_worker_events_are_stuck(idle: Stack) -> None:
    """Test events don't count."""
    rule = await idle.rule()
    assert (await read(idle)).state == "degraded"
    await idle.emit()
    await idle.emit(only_rules=[rule.id], test=True)
    await idle.listed(2)
    status = await read(idle)
    assert (status.state, status.workers, status.waiting) == ("stuck", 0, 1)
    assert status.problems[0].symptom == "no worker"
    assert status.lost_at is not None


async def test_an_event_of_two_connections_waits_for_the_one_that_fails(idle: Stack) -> None:
    async with working(idle):
        failing = await idle.connection("A fails", api_key="not-the-key")
        for connection in (failing, await idle.connection("B works")):
            await idle.rule(connection)
        await idle.log_when(await idle.emit(), is_held)
        status = await status_when(idle, state="inactive", waiting=1)
        assert status.connections[1].waiting == 0


async def test_more_than_are_listed_are_counted_by_connection(
    idle: Stack, monkeypatch: Any
) -> None:
    monkeypatch.setattr("operations.traffic.MOST_LISTED", 3)
    monkeypatch.setattr("operations.traffic.RUNS_AT_ONCE", 2)
    async with idle.make_worker():
        failing = await idle.connection("A waits", api_key="not-the-key")
        await idle.rule(failing)
        await idle.rule(await idle.connection("B works"))
        events = await emit_many(idle, (f"person-{number}" for number in range(8)))
        for event in events.values():
            await idle.log_when(event, is_held)
        await idle.listed(8)
        await count_waiting(idle.client, idle.catalog.traffic, idle.task_queue)
    status = await read(idle)
    assert [one.waiting for one in status.connections] == [8, 0]
    runs = [run async for run in idle.client.list_workflows(f"TaskQueue = '{idle.task_queue}'")]
    assert status.connections[0].oldest is not None
    late = status.connections[0].oldest - min(run.start_time for run in runs)
    assert timedelta(0) <= late < timedelta(seconds=1)  # as closely as it is searched


async def test_deliveries_go_on_while_nothing_can_be_written(idle: Stack, monkeypatch: Any) -> None:
    """What could not be written is written later."""

    refused: list[Any] = []

    async def refuse(_: Any, tallies: Any, now: float) -> None:
        refused.append(tallies)
        raise CatalogUnavailable("away")

    async def was_refused() -> bool:
        return bool(refused)

    async with working(idle):
        await idle.rule()
        with monkeypatch.context() as away:
            away.setattr("catalog.traffic.ConnectionTraffic.add", refuse)
            assert (await idle.ended(await idle.emit())).status == "completed"
            await eventually(was_refused)
            assert not await delivered(idle)
        await eventually(lambda: delivered(idle))


async def test_parts_that_do_not_answer_are_named(idle: Stack) -> None:
    without_database = await StatusReader(idle.client, None, idle.task_queue).read(None)
    assert [one.symptom for one in without_database.problems] == ["postgresql"]
    without_temporal = await StatusReader(None, idle.catalog, idle.task_queue).read(
        idle.organization
    )
    assert "temporal" in [one.symptom for one in without_temporal.problems]
    assert without_database.state == without_temporal.state == "stuck"
    assert without_database.since is None, "whoever asks for the first time can't know"


async def test_a_part_that_is_lost_meanwhile_is_lost_since_then(
    idle: Stack, monkeypatch: Any
) -> None:
    async def refuse(*_: Any) -> None:
        raise CatalogUnavailable("away")

    reader = StatusReader(idle.client, idle.catalog, idle.task_queue)
    await reader.read(idle.organization)
    monkeypatch.setattr("catalog.traffic.ConnectionTraffic.of", refuse)
    first = await reader.read(idle.organization)
    assert first.since is not None
    assert (await reader.read(idle.organization)).since == first.since
