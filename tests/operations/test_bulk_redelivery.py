"""What failed is delivered again, all of it, once, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from delivery.selection import EventOutcome, InvalidSelection, Mode, Progress, select
from destinations.customerio.simulator import Fault
from emitonce import EventHandle
from operations.bulk_redelivery import (
    NothingSelected,
    RedeliveryNotFound,
    RedeliveryStatus,
    cancel_redelivery,
    plan_redelivery,
    read_redelivery,
    start_redelivery,
    watch_redelivery,
)
from operations.event_redelivery import redeliver
from tests.integration.stack import Stack
from tests.operations.many import (
    LONG,
    all_ended,
    calls_by_person,
    emit_many,
    of_the_last_hour,
    visible,
)

LARGE = pytest.param(1_000, 300, id="1000 events", marks=LONG)
SMALL = pytest.param(30, 12, id="30 events")


async def ended(stack: Stack, id: str) -> RedeliveryStatus:
    async with asyncio.timeout(120):
        async for status in watch_redelivery(stack.client, id):
            last = status
    return last


async def with_failures(stack: Stack, delivered: int, failed: int) -> tuple[set[str], set[str]]:
    """So many people whose event was delivered, and so many whose event failed."""
    await stack.rule()
    good = await emit_many(stack, (f"good-{number}" for number in range(delivered)))
    await all_ended(stack, good.values(), within=200)
    bad = await failed_events(stack, failed)
    stack.sim.clear_faults()
    await visible(stack, "ExecutionStatus = 'Completed'", delivered)
    return set(good), set(bad)


async def failed_events(stack: Stack, count: int) -> dict[str, EventHandle]:
    """By person; the next ones fail as well."""
    stack.sim.fail("identify", fault=Fault(status=400))
    bad = await emit_many(stack, (f"bad-{number}" for number in range(count)))
    await all_ended(stack, bad.values(), within=200)
    await visible(stack, "ExecutionStatus = 'Failed'", count)
    return bad


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("total", "failures"), [SMALL, LARGE])
async def test_failures_alone_are_touched_though_canceled_half_way_and_started_again(
    stack: Stack, total: int, failures: int
) -> None:
    good, bad = await with_failures(stack, total - failures, failures)
    before = len(stack.sim.requests)

    plan = await plan_redelivery(stack.client, of_the_last_hour(stack))
    assert (plan.matched, plan.exact) == (failures, True)
    assert {listed.status for listed in plan.sample} == {"failed"}
    assert len(stack.sim.requests) == before

    await start_redelivery(stack.client, plan, task_queue=stack.task_queue, per_second=5)
    await stack.sim.until(lambda: len(stack.sim.requests) > before, timeout=30)
    await cancel_redelivery(stack.client, plan.id)
    canceled = await ended(stack, plan.id)
    assert canceled.state == "canceled"
    assert canceled.progress is not None
    assert 0 < canceled.progress.redelivered < failures

    await start_redelivery(stack.client, plan, task_queue=stack.task_queue, per_second=100)
    done = await ended(stack, plan.id)
    assert done.state == "completed"
    assert done.progress is not None
    assert (done.progress.redelivered, done.progress.skipped) == (failures, 0)

    await visible(stack, "ExecutionStatus = 'Completed'", total, within=120)
    identified, tracked = calls_by_person(stack, "identify"), calls_by_person(stack, "track")
    assert {person: identified[person] for person in good} == dict.fromkeys(good, 1)
    assert {person: identified[person] for person in bad} == dict.fromkeys(bad, 2)
    assert tracked == dict.fromkeys(good | bad, 1)
    assert len(stack.sim.events) == total


async def test_started_twice_it_runs_once(stack: Stack) -> None:
    await with_failures(stack, 0, 5)
    plan = await plan_redelivery(stack.client, of_the_last_hour(stack))
    starts = [start_redelivery(stack.client, plan, task_queue=stack.task_queue) for _ in range(3)]
    assert len({status.id for status in await asyncio.gather(*starts)}) == 1
    assert (await ended(stack, plan.id)).state == "completed"
    again = await start_redelivery(stack.client, plan, task_queue=stack.task_queue)
    assert again.state == "completed"
    await visible(stack, "ExecutionStatus = 'Completed'", 5)
    assert set(calls_by_person(stack, "track").values()) == {1}


async def test_an_event_that_fails_again_is_not_tried_again_by_the_same_redelivery(
    stack: Stack,
) -> None:
    await with_failures(stack, 0, 3)
    stack.sim.fail("identify", fault=Fault(status=400))
    plan = await plan_redelivery(stack.client, of_the_last_hour(stack))
    await start_redelivery(stack.client, plan, task_queue=stack.task_queue)
    await ended(stack, plan.id)
    await visible(stack, "ExecutionStatus = 'Failed'", 6)
    assert set(calls_by_person(stack, "identify").values()) == {2}
    later = await plan_redelivery(stack.client, of_the_last_hour(stack))
    assert later.matched == 3


@pytest.mark.slow
async def test_planned_by_a_clock_that_is_ahead_it_does_not_repeat_what_failed_again(
    stack: Stack,
) -> None:
    await stack.rule()
    await failed_events(stack, 6)
    now = datetime.now(UTC)
    ahead = select(
        stack.workspace,
        accepted_from=now - timedelta(hours=1),
        now=now + timedelta(hours=1),
    )
    plan = await plan_redelivery(stack.client, ahead)
    await start_redelivery(stack.client, plan, task_queue=stack.task_queue, per_second=1)
    await visible(stack, "ExecutionStatus = 'Failed'", 7)
    await cancel_redelivery(stack.client, plan.id)
    await ended(stack, plan.id)
    await start_redelivery(stack.client, plan, task_queue=stack.task_queue)
    progress = (await ended(stack, plan.id)).progress
    assert progress is not None
    assert (progress.planned, progress.redelivered, progress.skipped) == (6, 6, 0)
    await visible(stack, "ExecutionStatus = 'Failed'", 12)
    assert set(calls_by_person(stack, "identify").values()) == {2}


async def test_what_was_redelivered_since_the_plan_is_left_alone(stack: Stack) -> None:
    await with_failures(stack, 0, 2)
    plan = await plan_redelivery(stack.client, of_the_last_hour(stack))
    one = plan.sample[0].event_id
    await redeliver(stack.client, one)
    await visible(stack, "ExecutionStatus = 'Completed'", 1)
    await start_redelivery(stack.client, plan, task_queue=stack.task_queue)
    done = await ended(stack, plan.id)
    assert done.progress is not None
    assert (done.progress.redelivered, done.progress.skipped) == (1, 1)
    [skipped] = done.progress.latest_skipped
    assert (skipped.event_id, skipped.reason) == (one, "the event was redelivered since")
    await visible(stack, "ExecutionStatus = 'Completed'", 2)
    assert set(calls_by_person(stack, "track").values()) == {1}


async def test_an_event_counts_once_however_many_of_its_runs_have_failed(stack: Stack) -> None:
    await stack.rule()
    people = await failed_events(stack, 3)
    for failed_runs in (4, 5):
        await redeliver(stack.client, people["bad-0"].id)
        await all_ended(stack, [people["bad-0"]])
        await visible(stack, "ExecutionStatus = 'Failed'", failed_runs)
    stack.sim.clear_faults()
    await redeliver(stack.client, people["bad-1"].id)
    await visible(stack, "ExecutionStatus = 'Completed'", 1)

    plan = await plan_redelivery(stack.client, of_the_last_hour(stack))
    assert (plan.matched, len(plan.sample)) == (2, 2)
    await start_redelivery(stack.client, plan, task_queue=stack.task_queue)
    progress = (await ended(stack, plan.id)).progress
    assert progress is not None
    assert (progress.planned, progress.redelivered, progress.skipped) == (2, 2, 0)
    assert {one.event_id for one in progress.latest} == {people["bad-0"].id, people["bad-2"].id}
    await visible(stack, "ExecutionStatus = 'Completed'", 3)
    again = await plan_redelivery(stack.client, plan.selection)
    assert again.matched == 2  # the selection is frozen


async def test_one_connection_s_failures_alone_when_it_is_named(stack: Stack) -> None:
    first, second = await stack.connection("First"), await stack.connection("Second")
    rules = [await stack.rule(first), await stack.rule(second)]
    stack.sim.fail("identify", fault=Fault(status=400))
    handle = await stack.emit()
    await stack.ended(handle)
    stack.sim.clear_faults()
    await visible(stack, "ExecutionStatus = 'Failed'", 1)
    plan = await plan_redelivery(stack.client, of_the_last_hour(stack, connection=second.id))
    await start_redelivery(stack.client, plan, task_queue=stack.task_queue)
    await ended(stack, plan.id)
    log = await stack.ended(handle)
    by_rule = {delivery.rule: delivery.status for delivery in log.deliveries}
    assert by_rule == {rules[0].id: "failed", rules[1].id: "completed"}


async def test_delivered_events_are_sent_anew_only_when_asked_and_name_the_original(
    stack: Stack,
) -> None:
    await with_failures(stack, 2, 1)
    first = {r.body["messageId"] for r in stack.sim.requests}
    plan = await plan_redelivery(stack.client, of_the_last_hour(stack, mode=Mode.AGAIN))
    assert plan.matched == 2
    await start_redelivery(stack.client, plan, task_queue=stack.task_queue)
    done = await ended(stack, plan.id)
    assert done.progress is not None
    await visible(stack, "ExecutionStatus = 'Completed'", 4)
    assert calls_by_person(stack, "track") == {"good-0": 2, "good-1": 2}
    assert len({r.body["messageId"] for r in stack.sim.requests} - first) == 4
    for outcome in done.progress.latest:
        assert outcome.new_event_id is not None
        again = stack.client.get_workflow_handle(outcome.new_event_id)
        assert (await (await again.describe()).memo())["again_of"] == outcome.event_id
    once_more = await plan_redelivery(stack.client, of_the_last_hour(stack, mode=Mode.AGAIN))
    assert once_more.matched == 2


async def test_profiles_alone_are_sent_when_only_they_are_asked_for(stack: Stack) -> None:
    await with_failures(stack, 2, 0)
    plan = await plan_redelivery(stack.client, of_the_last_hour(stack, mode=Mode.IDENTIFY_ONLY))
    await start_redelivery(stack.client, plan, task_queue=stack.task_queue)
    await ended(stack, plan.id)
    await visible(stack, "ExecutionStatus = 'Completed'", 4)
    assert calls_by_person(stack, "identify") == {"good-0": 2, "good-1": 2}
    assert calls_by_person(stack, "track") == {"good-0": 1, "good-1": 1}


async def test_a_filter_that_matches_nothing_starts_nothing(stack: Stack) -> None:
    plan = await plan_redelivery(stack.client, of_the_last_hour(stack, event="never.heard"))
    assert plan.matched == 0
    with pytest.raises(NothingSelected, match="no event is selected"):
        await start_redelivery(stack.client, plan, task_queue=stack.task_queue)
    with pytest.raises(RedeliveryNotFound, match="never started"):
        await read_redelivery(stack.client, plan.id)


@pytest.mark.parametrize(
    ("accepted_from", "accepted_to", "said"),
    [
        (timedelta(hours=-1), timedelta(hours=-2), "the time range is empty"),
        (timedelta(hours=-1), timedelta(hours=-1), "the time range is empty"),
        (timedelta(hours=1), timedelta(hours=2), "lies in the future"),
    ],
)
def test_empty_and_inverted_time_ranges_are_refused(accepted_from, accepted_to, said) -> None:
    now = datetime.now(UTC)
    with pytest.raises(InvalidSelection, match=said):
        select("w", accepted_from=now + accepted_from, accepted_to=now + accepted_to, now=now)


def test_outcomes_that_are_kept_are_bounded() -> None:
    progress = Progress(planned=10_000)
    for number in range(10_000):
        outcome = "skipped" if number % 2 else "redelivered"
        progress = progress.after((EventOutcome(event_id=str(number), outcome=outcome),))
    assert (progress.redelivered, progress.skipped) == (5_000, 5_000)
    assert len(progress.latest) == len(progress.latest_skipped) == 100
    assert progress.latest[-1].event_id == "9999"
