"""One row of a list of events: what visibility knows about an event's latest run."""

from __future__ import annotations

from pydantic import AwareDatetime
from temporalio.client import WorkflowExecution

from delivery import search_attributes as names
from delivery.failures import Failure, read_failures
from delivery.frozen_model import FrozenModel
from delivery.result import Status
from eventlog.history import CREATED_BY, PERSON
from eventlog.memo import read_memo

_STATUS = {
    "Running": Status.PROCESSING,
    "Completed": Status.COMPLETED,
    "Failed": Status.FAILED,
    "TimedOut": Status.FAILED,
    "Canceled": Status.CANCELED,
    "Terminated": Status.CANCELED,
}


class ListedEvent(FrozenModel):
    """One event, by its latest run.

    An open event is `retrying` if it is held for a connection, or if it was described and a call is
    retried, at `next_attempt_at`; otherwise `processing`. `event` and `resource`
    are None if the name can't be a search attribute.
    `person` has identifiers by their payload's keys, if its starter has encrypted them.

    `failures` are empty unless the event has failed, or where the run didn't record them.
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
    person: dict[str, str] | None = None
    failures: tuple[Failure, ...] = ()
    next_attempt_at: AwareDatetime | None = None

    @classmethod
    async def of(cls, run: WorkflowExecution) -> ListedEvent:
        """Read a run, which must have a workspace and an acceptance time."""
        memo = await read_memo(run)
        created_by, person = memo.get(CREATED_BY), memo.get(PERSON)
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
            person=person if isinstance(person, dict) else None,
            failures=read_failures(found.get(names.REASON)),
        )


def status_of_run(run: WorkflowExecution) -> Status:
    """Return the status that Temporal gives the run, whatever the run's own state says."""
    return status_of(run.status.name.title().replace("_", "") if run.status else "Running")


def status_of(execution_status: str) -> Status:
    """Read an execution status as list filters write it: `Running`, `TimedOut` …"""
    return _STATUS.get(execution_status, Status.PROCESSING)
