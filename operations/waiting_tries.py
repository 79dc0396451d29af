"""Bring forward the tries that wait for a connection, once it works again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog
from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import RetryPolicy, WorkflowExecution
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import UpdateActivityOptionsRequest
from temporalio.client import Client
from temporalio.client import WorkflowExecution as Run
from temporalio.common import RawValue
from temporalio.service import RPCError

from delivery.outcome import BACKOFF_FIRST
from delivery.search_attributes import CONNECTIONS
from delivery.step import THROTTLED
from emitonce.errors import CannotDecode
from engine.missing import ignore_missing
from operations.next_attempt import is_scheduled
from operations.runs_page import list_page

PAGE = 500

log = structlog.get_logger("emitonce.delivery")


class WaitingTries:
    """Brings forward, in the background, what waits. What is missed comes back by itself."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._underway: set[asyncio.Task[None]] = set()

    def bring_forward(
        self, connections: Sequence[str], room: Callable[[], Awaitable[bool]]
    ) -> None:
        """Bring tries for these connections forward, each when there is `room` for a request.

        `room` waits for that, and returns False if there won't be any.
        """
        task = asyncio.create_task(self._bring_forward(connections, room))
        self._underway.add(task)
        task.add_done_callback(self._underway.discard)

    async def _bring_forward(
        self, connections: Sequence[str], room: Callable[[], Awaitable[bool]]
    ) -> None:
        cursor: str | None = None
        try:
            while True:
                runs, cursor = await list_page(
                    self._client, _open_for(connections), size=PAGE, cursor=cursor
                )
                # Several workers may do this at once, so each goes in an order of its own.
                for run in random.sample(runs, len(runs)):
                    if not await room():
                        return
                    await self._bring_run_forward(run, connections)
                if cursor is None:
                    return
        except RPCError as err:
            log.warning("waiting tries can't be brought forward", error=err.message)

    async def _bring_run_forward(self, run: Run, connections: Sequence[str]) -> None:
        with ignore_missing():
            handle = self._client.get_workflow_handle(run.id, run_id=run.run_id)
            described = await handle.describe()
            for waiting in filter(_waits, described.raw_description.pending_activities):
                if await self._waits_for(waiting) in (None, *connections):
                    await self._bring_try_forward(run, waiting)

    async def _waits_for(self, waiting: PendingActivityInfo) -> str | None:
        """Return the connection that a try got no permit for.

        None if it is unknown: older releases don't say it, Temporal shortens large failures, and
        the key that it was encrypted with may be missing here.
        """
        said = waiting.last_failure.application_failure_info.details.payloads
        if len(said) < 2:
            return None
        try:
            _, connection = await self._client.data_converter.decode(said[:2], [RawValue, str])
        except CannotDecode:
            return None
        return str(connection)

    async def _bring_try_forward(self, run: Run, waiting: PendingActivityInfo) -> None:
        """Change its retry policy, so that Temporal computes again when it is due.

        Its number and what it carries stay the same. A try that has started meanwhile goes on.
        """
        retry = RetryPolicy()
        retry.initial_interval.FromTimedelta(_first_interval(waiting))
        await self._client.workflow_service.update_activity_options(
            UpdateActivityOptionsRequest(
                namespace=self._client.namespace,
                execution=WorkflowExecution(workflow_id=run.id, run_id=run.run_id),
                id=waiting.activity_id,
                identity=self._client.identity,
                activity_options=ActivityOptions(retry_policy=retry),
                update_mask=FieldMask(paths=["retry_policy.initial_interval"]),
            ),
            retry=True,
        )


def _open_for(connections: Sequence[str]) -> str:
    names = ", ".join(f"'{connection}'" for connection in connections)
    return (
        f"WorkflowType = 'DeliverEvent' AND ExecutionStatus = 'Running' "
        f"AND {CONNECTIONS.name} IN ({names})"
    )


def _waits(info: PendingActivityInfo) -> bool:
    """Say whether a try got no permit and waits to ask again, and can be brought forward."""
    return (
        is_scheduled(info)
        and info.HasField("next_attempt_schedule_time")
        and info.last_failure.application_failure_info.type == THROTTLED
        and _first_interval(info) > timedelta()
    )


def _first_interval(info: PendingActivityInfo) -> timedelta:
    """Return the first interval by which the wait after this try is a second.

    Zero if it would be less than a microsecond: Temporal reads that as its default, by which the
    try would wait longer. Such a try comes back by itself.
    """
    factor = info.activity_options.retry_policy.backoff_coefficient
    return BACKOFF_FIRST * factor ** (1 - info.attempt)
