"""One line of a list of events: what visibility knows of an event's latest run."""

from __future__ import annotations

from pydantic import AwareDatetime
from temporalio.client import WorkflowExecution

from delivery import search_attributes as names
from delivery.result import Status
from delivery.values import Value
from eventlog.history import CREATED_BY

_STATUS = {
    "Running": Status.PROCESSING,
    "Completed": Status.COMPLETED,
    "Failed": Status.FAILED,
    "TimedOut": Status.FAILED,
    "Canceled": Status.CANCELED,
    "Terminated": Status.CANCELED,
}


class ListedEvent(Value):
    """One event, by its latest run.

    An open event is `retrying` when it is held for a connection and else `processing`; reading the
    event itself tells more. `event` and `resource` are None for a name unfit to be listed.
    """

    event_id: str
    run_id: str
    workspace: str
    event: str | None
    resource: str | None
    accepted_at: AwareDatetime
    status: Status
    closed_at: AwareDatetime | None
    test: bool
    held: bool
    connections: tuple[str, ...]
    rules: tuple[str, ...]
    created_by: str | None = None

    @classmethod
    async def of(cls, run: WorkflowExecution) -> ListedEvent:
        """Read a run that has a workspace and an acceptance time."""
        created_by = await run.memo_value(CREATED_BY, None)
        found = run.typed_search_attributes
        state = found.get(names.STATE)
        status = status_of_run(run)
        held = state == names.HELD and status is Status.PROCESSING
        if held:
            status = Status.RETRYING
        elif state == names.CANCELED and status is Status.COMPLETED:
            status = Status.CANCELED
        return cls(
            event_id=run.id,
            run_id=run.run_id,
            workspace=found[names.WORKSPACE],
            event=found.get(names.EVENT),
            resource=found.get(names.RESOURCE),
            accepted_at=found[names.ACCEPTED_AT],
            status=status,
            closed_at=run.close_time,
            test=state == names.TEST,
            held=held,
            connections=tuple(found.get(names.CONNECTIONS) or ()),
            rules=tuple(found.get(names.RULES) or ()),
            created_by=created_by if isinstance(created_by, str) else None,
        )


def status_of_run(run: WorkflowExecution) -> Status:
    """As Temporal has it: a run that its own work marks as canceled or held is not told apart."""
    return status_of(run.status.name.title().replace("_", "") if run.status else "Running")


def status_of(execution_status: str) -> Status:
    """From an execution status as list filters write it: `Running`, `TimedOut` …"""
    return _STATUS.get(execution_status, Status.PROCESSING)
