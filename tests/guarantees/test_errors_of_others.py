"""Whatever error ends a step, the event ends with it, and never a workflow task."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.match_rules import MatchRules
from catalog.worker_share import since_ever
from delivery.step import Step
from eventlog.log import EventLog
from tests.integration.run_history import task_failures
from tests.integration.stack import Stack, open_stack
from workflows.deliver_event import DeliverEvent


async def ended_with(stack: Stack, error: ApplicationError) -> EventLog:
    """Return the log of an event whose identify raises `error`, as others' activities may."""

    @activity.defn(name="identify")
    async def raising(step: Step) -> None:
        raise error

    await stack.rule()
    async with Worker(
        stack.client,
        task_queue=stack.task_queue,
        workflows=[DeliverEvent],
        activities=[
            MatchRules(stack.catalog.rule_lookup, lambda: stack.fleet, since_ever).match_rules,
            raising,
        ],
        workflow_runner=SandboxedWorkflowRunner(),
    ):
        handle = await stack.emit()
        log = await stack.ended(handle)
    assert await task_failures(stack.client, handle.id) == []
    assert log.status == "failed"
    return log


@pytest.fixture
async def idle(temporal: Client, database: str) -> AsyncIterator[Stack]:
    async with open_stack(temporal, database, working=False) as stack:
        yield stack


@pytest.mark.parametrize(
    "details",
    [(), (42,), ("text",), (None,), ({"outcome_code": "unheard_of", "message": "?"},)],
    ids=["none", "number", "text", "null", "foreign"],
)
async def test_an_error_that_is_not_ours_keeps_its_type_and_message(
    idle: Stack, details: tuple[Any, ...]
) -> None:
    error = ApplicationError("strange things", *details, type="Odd", non_retryable=True)
    [delivery] = (await ended_with(idle, error)).deliveries
    assert delivery.last_error == "internal_error: the activity failed: Odd: strange things"


@pytest.mark.parametrize("details", [(), ({"outcome_code": 7},)], ids=["none", "foreign"])
async def test_at_the_deadline_it_says_so_too(idle: Stack, details: tuple[Any, ...]) -> None:
    error = ApplicationError("not now", *details, type="Odd", next_retry_delay=timedelta(hours=100))
    [delivery] = (await ended_with(idle, error)).deliveries
    assert delivery.last_error is not None
    assert "given up after 72 hours; last: the activity failed: Odd: not now" in delivery.last_error
