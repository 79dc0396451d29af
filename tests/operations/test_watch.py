"""Alerts don't go quiet: not by a worker without a target, an older one, or one that is gone."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError
from temporalio.worker import Worker

from catalog.errors import CatalogUnavailable
from delivery.alert import Alert, AlertsFound, AlertTarget, AlertType, WatchState
from destinations.customerio.simulator import Fault
from operations.alert_watch import kept_watch, start_watch
from process import alert_target, configured_target
from settings import Settings, SettingsError
from tests.integration.stack import Stack, eventually, open_stack
from tests.operations.alert_receiver import SECRET, Receiver, open_receiver
from worker import WORKFLOWS, open_worker


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker leaves to the others is tried again at once."""
    for module in ("find_alerts", "send_alert"):
        monkeypatch.setattr(f"activities.{module}.LEFT_TO_OTHERS", timedelta(seconds=0.2))


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as receiver:
        yield receiver


@asynccontextmanager
async def fleet(temporal: Client, database: str, **settings: Any) -> AsyncIterator[Stack]:
    """A stack without a worker and without an alert target; ends the watch at the end."""
    settings = {"alert_every_seconds": 0.2} | settings
    async with open_stack(temporal, database, working=False, **settings) as stack:
        yield stack
        if await watch_status(stack) is WorkflowExecutionStatus.RUNNING:
            await stack.client.get_workflow_handle(watch_id(stack)).terminate()


def naming(stack: Stack, receiver: Receiver) -> Stack:
    """The same, with settings that name the receiver."""
    named = {"alert_url": SecretStr(receiver.url), "alert_secret": SecretStr(SECRET)}
    return replace(stack, settings=stack.settings.model_copy(update=named))


def target_of(receiver: Receiver, *, heartbeat: bool = False) -> AlertTarget:
    return AlertTarget(
        url=SecretStr(receiver.url),
        secret=SecretStr(SECRET),
        heartbeat_url=SecretStr(f"{receiver.url}/beat") if heartbeat else None,
    )


def watch_id(stack: Stack) -> str:
    return f"watch-{stack.task_queue}"


async def watch_status(stack: Stack) -> WorkflowExecutionStatus | None:
    try:
        return (await stack.client.get_workflow_handle(watch_id(stack)).describe()).status
    except RPCError:  # it was never started
        return None


async def tried(stack: Stack, workflow_id: str, failing_as: str) -> bool:
    """Whether the workflow's activity has been tried in vain, with an error of that type."""
    described = await stack.client.get_workflow_handle(workflow_id).describe()
    return any(
        pending.last_failure.application_failure_info.type == failing_as
        for pending in described.raw_description.pending_activities
    )


async def fail_an_event(stack: Stack) -> str:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400), times=1)
    failed = await stack.emit()
    await stack.ended(failed)
    return failed.id


async def test_a_worker_without_a_target_leaves_the_look_to_one_that_has_it(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    async with fleet(temporal, database) as bare:
        await start_watch(bare.client, bare.task_queue)
        async with bare.make_worker():
            failed = await fail_an_event(bare)
            await eventually(lambda: tried(bare, watch_id(bare), "NoAlertTarget"))
        assert await watch_status(bare) is WorkflowExecutionStatus.RUNNING
        async with naming(bare, receiver).make_worker():
            [alert] = await receiver.until("delivery.failed")
        assert alert["event_id"] == failed


async def test_a_worker_without_a_target_leaves_the_alert_to_one_that_has_it(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    async with fleet(temporal, database) as bare:
        id = str(uuid.uuid4())
        alert = Alert(
            id=id, type=AlertType.BACKLOG_OLD, occurred_at=datetime.now(UTC), message="a backlog"
        )
        run = await bare.client.start_workflow(
            "SendAlert", alert, id=f"alert-{id}", task_queue=bare.task_queue
        )
        async with bare.make_worker():
            await eventually(lambda: tried(bare, run.id, "AlertNotTaken"))
        async with naming(bare, receiver).make_worker():
            assert await run.result() == 204
        assert [post["webhook-id"] for post in receiver.posts] == [f"msg_{id}"]


@pytest.mark.slow
async def test_the_catalog_s_target_holds_for_every_worker(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    """Also for one whose settings name none, and before one that the settings name."""
    async with fleet(temporal, database) as bare, open_receiver() as other:
        await start_watch(bare.client, bare.task_queue)
        await bare.catalog.alert_targets.set(target_of(receiver))
        async with bare.make_worker():
            await fail_an_event(bare)
            await receiver.until("delivery.failed")
        async with naming(bare, other).make_worker():
            await fail_an_event(bare)
            await receiver.until("delivery.failed", 2)
            await bare.catalog.alert_targets.remove()
            await fail_an_event(bare)
            await other.until("delivery.failed")
        assert len(receiver.alerts) == 2


async def test_a_worker_that_starts_has_deliveries_watched(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    async with fleet(temporal, database) as bare:
        named = naming(bare, receiver)
        async with open_worker(named.client, named.catalog, named.clients, named.settings):
            await eventually(lambda: is_now(bare, WorkflowExecutionStatus.RUNNING))


async def test_a_watch_that_an_older_worker_ends_starts_again(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    async with fleet(temporal, database) as bare:
        target = alert_target(bare.catalog, naming(bare, receiver).settings)
        async with (
            kept_watch(bare.client, bare.task_queue, target, keep_seconds=0.1),
            older_worker(bare),
        ):
            runs: set[str] = set()

            async def started_three_times() -> bool:
                runs.add(await run_of_watch(bare))
                return len(runs - {""}) >= 3

            await eventually(started_three_times)


async def run_of_watch(stack: Stack) -> str:
    """The run of the watch that was started last, empty before the first."""
    try:
        return (await stack.client.get_workflow_handle(watch_id(stack)).describe()).run_id
    except RPCError:
        return ""


def older_worker(stack: Stack) -> Worker:
    """Looks as the first release does without a URL in its settings."""

    @activity.defn(name="look")
    async def look(known: WatchState) -> AlertsFound:
        return AlertsFound(known=known)

    return Worker(stack.client, task_queue=stack.task_queue, workflows=WORKFLOWS, activities=[look])


@pytest.mark.slow
async def test_a_watch_that_an_older_worker_ended_goes_on_where_it_was(
    temporal: Client, database: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Or the minute for which each look goes back would cover for a watch that forgot.
    monkeypatch.setattr("operations.alert_search.LISTED_WITHIN", timedelta(0))

    async with fleet(temporal, database) as bare:
        named = naming(bare, receiver)
        target = alert_target(named.catalog, named.settings)
        async with named.make_worker():
            await start_watch(bare.client, bare.task_queue)
            await fail_an_event(bare)
            await receiver.until("delivery.failed")
        async with older_worker(bare):
            ended = WorkflowExecutionStatus.COMPLETED
            await eventually(lambda: is_now(bare, ended))
        async with bare.make_worker():
            failed = await fail_an_event(bare)
        async with kept_watch(bare.client, bare.task_queue, target, keep_seconds=0.1):
            await eventually(lambda: is_now(bare, WorkflowExecutionStatus.RUNNING))
        async with named.make_worker():
            alerts = await receiver.until("delivery.failed", 2)
        assert alerts[1]["event_id"] == failed
        assert len(receiver.alerts) == 2, "what was told before is not told again"


async def is_now(stack: Stack, status: WorkflowExecutionStatus) -> bool:
    return await watch_status(stack) is status


async def test_where_nobody_has_a_target_the_watch_ends(
    temporal: Client, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet(temporal, database) as bare:
        await start_watch(bare.client, bare.task_queue)
        monkeypatch.setattr("activities.find_alerts.NOBODY_AFTER", -timedelta(1))
        async with bare.make_worker():
            await eventually(lambda: is_now(bare, WorkflowExecutionStatus.COMPLETED))


@pytest.mark.slow
async def test_the_heartbeat_follows_a_look_that_went_well_and_no_other(
    temporal: Client, database: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet(temporal, database) as stack:
        await stack.catalog.alert_targets.set(target_of(receiver, heartbeat=True))

        async def unavailable() -> None:
            raise CatalogUnavailable("the database is starting up")

        with monkeypatch.context() as failing:
            failing.setattr(stack.catalog.credentials, "inactive", unavailable)
            await start_watch(stack.client, stack.task_queue)
            async with stack.make_worker():
                await eventually(lambda: tried(stack, watch_id(stack), "CatalogUnavailable"))
        assert receiver.beats == 0
        async with stack.make_worker():
            await eventually(lambda: beaten(receiver, 3))
        assert receiver.posts == []


async def beaten(receiver: Receiver, times: int) -> bool:
    return receiver.beats >= times


async def test_a_heartbeat_that_is_not_taken_stops_no_alert(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    async with fleet(temporal, database) as stack:
        nowhere = replace(target_of(receiver), heartbeat_url=SecretStr("http://127.0.0.1:1/beat"))
        await stack.catalog.alert_targets.set(nowhere)
        await start_watch(stack.client, stack.task_queue)
        async with stack.make_worker():
            await fail_an_event(stack)
            await receiver.until("delivery.failed")


@pytest.mark.parametrize(
    ("named", "fault"),
    [
        ({"alert_url": "https://hidden.example"}, "EMITONCE_ALERT_URL needs"),
        ({"alert_heartbeat_url": "https://hidden.example"}, "EMITONCE_ALERT_HEARTBEAT_URL needs"),
        ({"alert_url": "hidden", "alert_secret": SECRET}, "EMITONCE_ALERT_URL must start"),
        (
            {"alert_url": "https://h.example", "alert_secret": "hidden"},
            "EMITONCE_ALERT_SECRET must",
        ),
    ],
)
def test_a_target_in_the_settings_is_checked_when_a_worker_starts(
    named: dict[str, str], fault: str
) -> None:
    settings = Settings().model_copy(
        update={name: SecretStr(value) for name, value in named.items()}
    )
    with pytest.raises(SettingsError, match=fault) as caught:
        configured_target(settings)
    assert "hidden" not in str(caught.value)
