"""Plan, start, watch and cancel bulk redeliveries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from delivery.result import Status
from delivery.search_attributes import WORKSPACE
from delivery.selection import (
    EVENTS_PER_SECOND,
    MOST_PER_SECOND,
    PROGRESS,
    BulkRedelivery,
    InvalidSelection,
    Progress,
    Selection,
)
from engine.missing import ignore_missing
from eventlog.listed_event import ListedEvent
from operations.redelivery_result import RedeliveryResult, read_result, read_statuses
from operations.selected_runs import count_left_out, count_runs, selected_page, selected_runs

WORKFLOW = "RedeliverEvents"
_ID_PREFIX = "redeliver-"
_SELECTION = "selection"

# Up to this many runs are checked one by one; more would keep the person who plans waiting.
LOOKED_AT = 1_000
# By a reason, as many as issues are made of: their number can't be estimated well.
LOOKED_AT_BY_REASON = 10_000
SAMPLE = 10
SAMPLED = 200

_QUERY_TIMEOUT = timedelta(seconds=5)
_STATE = {  # a run that has continued as new is still running
    WorkflowExecutionStatus.RUNNING: "running",
    WorkflowExecutionStatus.CONTINUED_AS_NEW: "running",
    WorkflowExecutionStatus.COMPLETED: "completed",
    WorkflowExecutionStatus.CANCELED: "canceled",
    WorkflowExecutionStatus.TERMINATED: "canceled",
}


class RedeliveryNotFound(LookupError):
    """No redelivery has this id: it was never started, or is older than the retention."""


class NothingSelected(InvalidSelection):
    """No event is selected, so there is nothing to start."""


@dataclass(frozen=True)
class RedeliveryPlan:
    """What a redelivery would do. `matched` is the number of events, an estimate unless `exact`."""

    selection: Selection
    matched: int
    exact: bool
    sample: tuple[ListedEvent, ...]

    @property
    def id(self) -> str:
        return self.selection.id


@dataclass(frozen=True)
class RedeliveryStatus:
    """How a redelivery stands. `state` is running, completed, canceled or failed.

    `progress` is None while no worker can answer. `result` and `statuses` say what became of the
    events, according to lists. `statuses` are those of `progress.latest`, by event id.
    """

    id: str
    state: str
    selection: Selection
    started_at: datetime
    ended_at: datetime | None
    progress: Progress | None
    result: RedeliveryResult | None = None
    statuses: Mapping[str, Status] = field(default_factory=dict)

    @classmethod
    async def of(cls, run: WorkflowExecution) -> RedeliveryStatus:
        """Read what lists know: neither progress nor result."""
        return cls(
            id=run.id.removeprefix(_ID_PREFIX),
            state=_STATE.get(run.status or WorkflowExecutionStatus.RUNNING, "failed"),
            selection=Selection.model_validate(await run.memo_value(_SELECTION)),
            started_at=run.start_time,
            ended_at=run.close_time,
            progress=None,
        )

    @property
    def running(self) -> bool:
        return self.state == "running"


async def plan_redelivery(client: Client, selection: Selection) -> RedeliveryPlan:
    """Count the selected events and read the latest ones. Sends nothing.

    A selection is frozen, so redelivering its events does not change their number.

    Raises:
        NotSearchable: the selection has a reason, by which this namespace can't search.
    """
    runs = await count_runs(client, selection)
    if runs <= (LOOKED_AT if selection.reason is None else LOOKED_AT_BY_REASON):
        found = [run async for run in selected_runs(client, selection)]
        return RedeliveryPlan(selection, len(found), True, await _sample(found))
    found, _ = await selected_page(client, selection, size=SAMPLED, cursor=None)
    matched = max(runs - await count_left_out(client, selection), len(found))
    return RedeliveryPlan(selection, matched, False, await _sample(found))


async def _sample(runs: Sequence[WorkflowExecution]) -> tuple[ListedEvent, ...]:
    return tuple([await ListedEvent.of(run) for run in runs[:SAMPLE]])


async def start_redelivery(
    client: Client,
    plan: RedeliveryPlan,
    *,
    task_queue: str,
    per_second: float = EVENTS_PER_SECOND,
) -> RedeliveryStatus:
    """Start a redelivery and return its status.

    Starting it twice runs it once: the second start finds the first, running or completed. After a
    cancellation, a start continues with the events that are left.

    Raises:
        NothingSelected: no event matches.
        InvalidSelection: `per_second` is out of range.
    """
    if not 0 < per_second <= MOST_PER_SECOND:
        raise InvalidSelection(
            f"per_second: is {per_second}, must be more than 0 and at most {MOST_PER_SECOND}"
        )
    if not plan.matched and not await _is_known(client, plan.id):
        raise NothingSelected("no event is selected, so nothing was started")
    work = BulkRedelivery(
        selection=plan.selection,
        per_second=per_second,
        progress=Progress(planned=plan.matched, planned_exact=plan.exact),
    )
    with suppress(WorkflowAlreadyStartedError):  # it has completed, as its status will say
        await client.start_workflow(
            WORKFLOW,
            work,
            id=_workflow_id(plan.id),
            task_queue=task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            memo={_SELECTION: plan.selection.model_dump(mode="json")},
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(WORKSPACE, plan.selection.workspace)]
            ),
            static_summary=f"{plan.matched} events are delivered again ({plan.selection.mode})",
        )
    return await read_redelivery(client, plan.id)


async def read_redelivery(client: Client, id: str) -> RedeliveryStatus:
    """Read the status of a redelivery.

    Raises:
        RedeliveryNotFound: no such redelivery.
    """
    described = await _describe(client, id)
    status, progress = await RedeliveryStatus.of(described), await _progress(client, described)
    return replace(
        status,
        progress=progress,
        result=await read_result(client, status.selection, progress),
        statuses=await read_statuses(client, progress.latest) if progress else {},
    )


async def watch_redelivery(client: Client, id: str) -> AsyncIterator[RedeliveryStatus]:
    """Read the status at intervals until the redelivery ends. Raises as `read_redelivery` does."""
    pause = 0.2
    while True:
        status = await read_redelivery(client, id)
        yield status
        if not status.running:
            return
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 2.0)


async def cancel_redelivery(client: Client, id: str) -> RedeliveryStatus:
    """Stop after the current page; events that were started are still delivered.

    If the redelivery has ended, only return its status.

    Raises:
        RedeliveryNotFound: no such redelivery.
    """
    status = await read_redelivery(client, id)
    if status.running:
        with ignore_missing():  # it ended just now
            await client.get_workflow_handle(_workflow_id(id)).cancel()
    return await read_redelivery(client, id)


async def _progress(client: Client, described: WorkflowExecutionDescription) -> Progress | None:
    handle = client.get_workflow_handle(described.id, result_type=Progress)
    with suppress(RPCError, WorkflowQueryFailedError):
        if described.status is WorkflowExecutionStatus.COMPLETED:  # then no worker is needed
            progress: Progress = await handle.result(rpc_timeout=_QUERY_TIMEOUT)
        else:
            progress = await handle.query(
                PROGRESS, result_type=Progress, rpc_timeout=_QUERY_TIMEOUT
            )
        return progress
    return None


async def _describe(client: Client, id: str) -> WorkflowExecutionDescription:
    with ignore_missing(malformed_ids=True):
        return await client.get_workflow_handle(_workflow_id(id)).describe()
    raise RedeliveryNotFound(
        "no such redelivery is known here: never started, or past its retention"
    )


async def _is_known(client: Client, id: str) -> bool:
    with suppress(RedeliveryNotFound):
        await _describe(client, id)
        return True
    return False


def _workflow_id(id: str) -> str:
    return f"{_ID_PREFIX}{id.lower()}"
