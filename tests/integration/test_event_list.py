"""Lists of events on a real server: complete, ordered, and unmoved by what happens meanwhile.

The runs are cheap ones: nobody works on their task queue, so they stay open until terminated.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from delivery import search_attributes as names
from delivery.result import Status
from eventlog.counts import count_events
from eventlog.event_list import EventPage, ListedEvent, list_events
from eventlog.query import EventQuery
from tests.integration.stack import eventually, listed

NOBODYS = "nobody-works-here"
LONG = pytest.mark.skipif(
    not os.environ.get("EMITONCE_TEST_LONG"), reason="takes minutes: set EMITONCE_TEST_LONG=1"
)


class Runs:
    """Starts runs of one workspace that look like events to visibility."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.workspace = str(uuid.uuid4())
        self.query = EventQuery((self.workspace,))
        self._slots = asyncio.Semaphore(40)

    async def start(
        self,
        event_id: str | None = None,
        accepted_at: datetime | None = None,
        *,
        event: str = "user.signup",
        task_queue: str = NOBODYS,
        how: str = "",
        more: dict[SearchAttributeKey[Any], Any] | None = None,
    ) -> str:
        event_id = event_id or str(uuid.uuid4())
        values = {
            names.WORKSPACE: self.workspace,
            names.EVENT: event,
            names.ACCEPTED_AT: accepted_at or datetime.now(UTC),
            **(more or {}),
        }
        async with self._slots:
            await self.client.start_workflow(
                "DeliverEvent",
                how,
                id=event_id,
                task_queue=task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                search_attributes=TypedSearchAttributes(
                    [SearchAttributePair(key, value) for key, value in values.items()]
                ),
            )
        return event_id

    async def end(self, event_id: str) -> None:
        async with self._slots:
            await self.client.get_workflow_handle(event_id).terminate("for this test")

    async def redeliver(self, event_id: str, accepted_at: datetime) -> None:
        await self.end(event_id)
        await self.start(event_id, accepted_at)

    async def listed(self, count: int) -> None:
        """Wait until visibility, which lags behind, knows of `count` runs."""
        await listed(self.client, self.workspace, count)

    async def pages(self, query: EventQuery, limit: int) -> list[EventPage]:
        pages = [await list_events(self.client, query, limit=limit)]
        while (cursor := pages[-1].next_cursor) is not None:
            pages.append(await list_events(self.client, query, limit=limit, cursor=cursor))
        return pages


@pytest.fixture
def runs(temporal: Client) -> Runs:
    return Runs(temporal)


def spread_out(count: int) -> dict[str, datetime]:
    """Events as they come: a steady trickle, bursts, and some in the very same moment."""
    chosen, now = random.Random(count), datetime.now(UTC)
    bursts = [timedelta(seconds=2), timedelta(hours=5), timedelta(days=9)]
    accepted = {}
    for number in range(count):
        if number % 2:
            age = timedelta(seconds=chosen.random() * 20 * 86_400)
        elif number % 10:
            age = chosen.choice(bursts) + timedelta(milliseconds=chosen.random() * 2_000)
        else:
            age = timedelta(days=2)
        accepted[str(uuid.uuid4())] = now - age
    return accepted


@pytest.mark.parametrize("count", [600, pytest.param(10_000, marks=LONG)])
@pytest.mark.slow
async def test_pages_have_no_gap_and_no_repeat_while_events_come_close_and_are_redelivered(
    runs: Runs, count: int
) -> None:
    accepted = spread_out(count)
    await asyncio.gather(*(runs.start(event, at) for event, at in accepted.items()))
    await runs.listed(count)
    meanwhile = asyncio.create_task(_come_and_go(runs, accepted))
    shown: list[ListedEvent] = []
    cursor = None
    while True:
        page = await list_events(runs.client, runs.query, limit=50, cursor=cursor)
        assert len(page.events) == 50 or page.next_cursor is None
        shown.extend(page.events)
        if (cursor := page.next_cursor) is None:
            break
    meanwhile.cancel()
    with suppress(asyncio.CancelledError):
        await meanwhile

    ids = [event.event_id for event in shown]
    assert len(ids) == len(set(ids)), "an event was repeated"
    assert set(accepted) <= set(ids), "an event was left out"
    keys = [(event.accepted_at, event.event_id) for event in shown]
    assert keys == sorted(keys, reverse=True)
    closed = [event for event in shown if event.status is Status.CANCELED]
    assert closed, "nothing closed while the pages were read"


async def _come_and_go(runs: Runs, accepted: dict[str, datetime]) -> None:
    events = list(accepted)
    random.Random(7).shuffle(events)
    for ending, again in itertools.pairwise(events):
        await asyncio.gather(runs.start(), runs.end(ending), runs.redeliver(again, accepted[again]))
        events.remove(again)


async def test_a_list_from_a_time_on_leaves_out_what_came_before(runs: Runs) -> None:
    now = datetime.now(UTC)
    for count, hours in ((30, 25), (8, 23)):
        at = [now - timedelta(hours=hours, minutes=number) for number in range(count)]
        started = await asyncio.gather(*(runs.start(accepted_at=one) for one in at))
    await runs.listed(38)
    pages = await runs.pages(replace(runs.query, accepted_from=now - timedelta(hours=24)), 5)
    assert [event.event_id for page in pages for event in page.events] == started


async def test_events_of_one_moment_are_listed_once_each_over_many_pages(runs: Runs) -> None:
    at = datetime.now(UTC) - timedelta(minutes=2)
    started = await asyncio.gather(*(runs.start(accepted_at=at) for _ in range(45)))
    await runs.listed(45)
    pages = await runs.pages(runs.query, 7)
    listed_ids = [event.event_id for page in pages for event in page.events]
    assert listed_ids == sorted(started, reverse=True)


async def test_a_redelivered_event_stands_once_where_it_was_first_accepted(runs: Runs) -> None:
    now = datetime.now(UTC)
    ids = [await runs.start(accepted_at=now - timedelta(hours=age)) for age in range(5)]
    for _ in range(2):
        await runs.redeliver(ids[3], now - timedelta(hours=3))
    await runs.listed(7)
    pages = await runs.pages(runs.query, 2)
    assert [event.event_id for page in pages for event in page.events] == ids
    assert {event.status for page in pages for event in page.events} == {Status.PROCESSING}
    # Its earlier runs are terminated ones; lists by status judge it by the latest.
    canceled = await list_events(
        runs.client, EventQuery((runs.workspace,), status=Status.CANCELED), limit=10
    )
    assert canceled.events == ()


HOSTILE = [
    "what? now",
    "it's",
    'say "hi"',
    "back\\slash",
    "a\\' OR 1=1 --",
    "'' OR ''=''",
    "100%_of!it",
    "`tick`; DROP",
    "é😀",
    '"',
]


async def test_events_are_found_by_names_however_hostile(runs: Runs) -> None:
    ids = {name: await runs.start(event=name) for name in HOSTILE}
    await runs.listed(len(HOSTILE))
    for name, event_id in ids.items():
        query = EventQuery((runs.workspace,), event=name)
        page = await list_events(runs.client, query, limit=10)
        assert [event.event_id for event in page.events] == [event_id], name
    for name in ("nul\0", "new\nline", "x" * 3_000, "it", "*"):
        page = await list_events(runs.client, EventQuery((runs.workspace,), event=name), limit=10)
        assert page.events == ()


async def test_filters_narrow_a_list_down(runs: Runs) -> None:
    connection, rule = str(uuid.uuid4()), str(uuid.uuid4())
    start = datetime.now(UTC) - timedelta(days=1)
    chosen = await runs.start(
        accepted_at=start,
        more={
            names.RESOURCE: "project",
            names.RESOURCE_ID: "0f" * 16,
            names.CONNECTIONS: [connection, str(uuid.uuid4())],
            names.RULES: [rule],
        },
    )
    await runs.start(accepted_at=start + timedelta(hours=1), more={names.RESOURCE: "global"})
    tested = await runs.start(accepted_at=start, more={names.STATE: names.TEST})
    held = await runs.start(accepted_at=start, event="held", more={names.STATE: names.HELD})
    await runs.listed(4)

    async def ids(**narrowed: Any) -> set[str]:
        query = EventQuery((runs.workspace,), **narrowed)
        return {event.event_id for event in (await list_events(runs.client, query, limit=9)).events}

    assert await ids(resource="project") == {chosen}
    assert await ids(resource_id_hash="0f" * 16) == {chosen}
    assert await ids(connection=connection) == {chosen}
    assert await ids(rule=rule) == {chosen}
    assert await ids(rule="'") == set()
    assert await ids(accepted_from=start, accepted_to=start + timedelta(hours=1)) == {chosen, held}
    assert await ids(accepted_from=start + timedelta(microseconds=1), event="held") == set()
    assert tested not in await ids()
    assert tested in await ids(include_tests=True)


async def test_an_event_of_another_workspace_is_never_listed(temporal: Client) -> None:
    mine, others = Runs(temporal), Runs(temporal)
    event = await mine.start()
    await others.start()
    await mine.listed(1)
    await others.listed(1)
    page = await list_events(temporal, mine.query, limit=10)
    assert [listed.event_id for listed in page.events] == [event]
    both = EventQuery((mine.workspace, others.workspace))
    assert len((await list_events(temporal, both, limit=10)).events) == 2


@workflow.defn(name="DeliverEvent", sandboxed=False)
class EndsAsTold:
    @workflow.run
    async def run(self, how: str) -> None:
        if how == "fail":
            raise ApplicationError("told to", non_retryable=True)
        if how == "canceled":
            workflow.upsert_search_attributes([names.STATE.value_set(names.CANCELED)])
        if how == "wait":
            await workflow.wait_condition(lambda: False)


async def test_statuses_are_listed_and_counted_as_far_as_visibility_knows(runs: Runs) -> None:
    queue = f"ends-as-told-{uuid.uuid4()}"
    ways = ["complete", "fail", "canceled", "wait", "wait"]
    async with Worker(runs.client, task_queue=queue, workflows=[EndsAsTold]):
        ids = [await runs.start(how=how, task_queue=queue) for how in ways]
        held = await runs.start(more={names.STATE: names.HELD})
        await runs.client.get_workflow_handle(ids[4]).cancel()
        expected = {
            Status.COMPLETED: {ids[0]},
            Status.FAILED: {ids[1]},
            Status.CANCELED: {ids[2], ids[4]},
            Status.PROCESSING: {ids[3], held},
        }

        async def counted() -> bool:
            counts = await count_events(runs.client, runs.query)
            return counts.by_status == {status: len(ids) for status, ids in expected.items()}

        await eventually(counted, within=20)
        for status, events in expected.items():
            query = EventQuery((runs.workspace,), status=status)
            page = await list_events(runs.client, query, limit=10)
            assert {event.event_id for event in page.events} == events
            assert (page.note is None) == (status is not Status.PROCESSING)
        page = await list_events(runs.client, runs.query, limit=10)
        by_id = {event.event_id: event for event in page.events}
        assert by_id[held].held
        assert by_id[held].status is Status.RETRYING
        assert by_id[ids[0]].closed_at is not None
        assert by_id[ids[3]].closed_at is None


async def test_a_failed_event_that_is_redelivered_is_failed_no_more(runs: Runs) -> None:
    queue = f"ends-as-told-{uuid.uuid4()}"
    accepted_at = datetime.now(UTC)
    async with Worker(runs.client, task_queue=queue, workflows=[EndsAsTold]):
        event = await runs.start(accepted_at=accepted_at, how="fail", task_queue=queue)
        with suppress(Exception):
            await runs.client.get_workflow_handle(event).result()
    failed = EventQuery((runs.workspace,), status=Status.FAILED)

    async def listed_failed() -> bool:
        return len((await list_events(runs.client, failed, limit=10)).events) == 1

    await eventually(listed_failed, within=20)
    await runs.start(event, accepted_at)
    await runs.listed(2)
    assert not await listed_failed()
