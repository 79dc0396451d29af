"""A run that a newer release has recorded waits for a worker that knows it: nothing is guessed."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from delivery.capabilities import Capabilities
from delivery.redelivery import Redelivery
from destinations.customerio.simulator import Fault
from destinations.registry import FIRST_RELEASE, this_release
from operations.event_redelivery import redeliver
from operations.redelivery_plan import plan_redelivery
from tests.integration.run_history import history_text, task_failures
from tests.integration.stack import Stack, eventually, open_stack
from worker import make_worker


async def test_newest_build_of_all_workers_is_recorded_with_each_rule(stack: Stack) -> None:
    await stack.rule()
    handle = await stack.emit()
    await stack.ended(handle)
    newest = this_release().newest_build
    assert f'"build": {newest}' in await history_text(stack.client, handle.id)


@pytest.mark.parametrize(
    ("newer", "named"),
    [
        (FIRST_RELEASE.model_copy(update={"builds": (1, 99)}), "build 99"),
        (FIRST_RELEASE.model_copy(update={"features": ("unheard_of",)}), "feature unheard_of"),
    ],
)
async def test_what_a_worker_does_not_know_fails_its_task_and_not_the_event(
    temporal: Client, database: str, newer: Capabilities, named: str
) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        await stack.rule()
        handle = await stack.emit()

        async def has_failed() -> bool:
            return bool(await task_failures(temporal, handle.id))

        # This worker records what a newer release would, and reads it as this release does.
        async with make_worker(
            temporal, stack.catalog, stack.clients, stack.settings, fleet=lambda: newer
        ):
            await eventually(has_failed)
        failure = (await task_failures(temporal, handle.id))[0]
        assert named in failure.workflow_task_failed_event_attributes.failure.message
        described = await temporal.get_workflow_handle(handle.id).describe()
        assert described.status is WorkflowExecutionStatus.RUNNING
        assert stack.calls() == []


async def test_redelivery_of_what_a_newer_release_sent_waits_for_that_release(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stack.rule(await stack.connection("First"))
    await stack.rule(await stack.connection("Second"))
    stack.sim.fail("identify", fault=Fault(status=400), times=2)
    handle = await stack.emit()
    await stack.ended(handle)

    def planned(*arguments: Any) -> Redelivery:
        """As a newer release's API would, of an event that its worker has sent."""
        plan = plan_redelivery(*arguments)
        delivery, other = plan.earlier
        assert delivery.identify is not None
        sent = delivery.identify.model_copy(update={"build": 99})
        return plan.model_copy(
            update={"earlier": (delivery.model_copy(update={"identify": sent}), other)}
        )

    monkeypatch.setattr("operations.event_redelivery.plan_redelivery", planned)
    await redeliver(stack.client, handle.id)

    async def has_failed() -> bool:
        return bool(await task_failures(stack.client, handle.id))

    await eventually(has_failed)
    failure = (await task_failures(stack.client, handle.id))[0]
    assert "build 99" in failure.workflow_task_failed_event_attributes.failure.message
    assert len(stack.calls()) == 2  # nothing since
    assert (await stack.log(handle)).status == "pending"
    await stack.client.get_workflow_handle(handle.id).terminate()
