"""The delivery log: what happened to one event, read only from its run's history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import AwareDatetime
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo

from delivery.delivery_log import DeliveryLog
from delivery.errors import InvalidEvent
from delivery.event import Event, read_event
from delivery.frozen_model import FrozenModel, JsonObject
from delivery.people import identifiers
from delivery.result import Status, roll_up
from delivery.size import LARGEST_PAYLOAD, is_small
from delivery.source import Source
from destinations.registry import with_types_and_builds
from eventlog.deliveries import deliveries_of
from eventlog.history import RunFacts, read_history


class EventLog(FrozenModel):
    """The log of one event, by its latest run, with the deliveries and attempts of earlier runs.

    `people` are pairs of field and identifier, of whom the event is about.
    """

    event_id: str
    run_id: str
    workspace: str | None
    event: str | None
    resource: str | None
    resource_id: str | None
    payload: JsonObject | None
    timestamp: AwareDatetime | None
    test: bool
    status: Status
    created_by: str | None = None
    source: Source | None = None
    accepted_at: AwareDatetime
    completed_at: AwareDatetime | None
    total_rules: int
    completed_count: int
    failed_count: int
    error: str | None
    deliveries: tuple[DeliveryLog, ...]
    people: tuple[tuple[str, str], ...] = ()

    def only(self, deliveries: tuple[DeliveryLog, ...]) -> EventLog:
        """Return the log as if there were no other deliveries."""
        statuses = [delivery.status for delivery in deliveries]
        others = len(deliveries) < len(self.deliveries)
        return self.model_copy(
            update={
                "deliveries": deliveries,
                "total_rules": len(deliveries),
                "completed_count": statuses.count(Status.COMPLETED),
                "failed_count": statuses.count(Status.FAILED),
                **({"status": roll_up(statuses), "error": None} if others else {}),
            }
        )


def delivery_log(
    event_id: str,
    run_id: str,
    history: Sequence[HistoryEvent],
    pending_activities: Iterable[PendingActivityInfo] = (),
) -> EventLog:
    """Read the log of one run. Payloads in `history`, `pending_activities` must be decoded."""
    return log_of(event_id, run_id, read_history(history, pending_activities))


def payload_of(event_id: str, started: HistoryEvent) -> JsonObject | None:
    """Read the payload from the first event of a run's history; None when it can't be read, or
    when the whole input is large.
    """
    given = started.workflow_execution_started_event_attributes.input
    if not all(is_small(payload.data) for payload in given.payloads):
        return None
    event = _event_of(event_id, read_history([started], ()))
    return event.payload if event else None


def log_of(event_id: str, run_id: str, facts: RunFacts) -> EventLog:
    """Make the log of a run whose history was read already."""
    event = _event_of(event_id, facts)
    deliveries = deliveries_of(facts, event)
    statuses = [delivery.status for delivery in deliveries]
    return EventLog(
        event_id=event_id,
        run_id=run_id,
        workspace=event.workspace if event else _text(facts.input.get("workspace")),
        event=event.event if event else _text(facts.input.get("event")),
        resource=event.resource if event else None,
        resource_id=event.resource_id if event else None,
        payload=event.payload if event else None,
        timestamp=event.timestamp if event else None,
        test=bool(event and event.test),
        status=_status(facts, statuses),
        created_by=facts.created_by,
        source=event.source if event else None,
        accepted_at=event.redelivery.accepted_at
        if event and event.redelivery
        else facts.accepted_at,
        completed_at=facts.closed_at,
        total_rules=len(deliveries),
        completed_count=statuses.count(Status.COMPLETED),
        failed_count=statuses.count(Status.FAILED),
        error=facts.error,
        deliveries=deliveries,
        people=identifiers(event.payload, facts.matched.rules if facts.matched else ())
        if event
        else (),
    )


def _event_of(event_id: str, facts: RunFacts) -> Event | None:
    if facts.error_type == "InvalidEvent" and facts.input_size > LARGEST_PAYLOAD:
        return None  # it was refused for its size, so it isn't read here either
    try:
        event = read_event(facts.input, event_id=event_id, started_at=facts.started_at)
        return with_types_and_builds(event)
    except InvalidEvent:
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _status(facts: RunFacts, deliveries: Sequence[Status]) -> Status:
    if facts.closed == "failed" or facts.closed == "timed_out":
        return Status.FAILED
    if facts.closed in ("canceled", "terminated"):
        return Status.CANCELED
    if facts.closed is None and not deliveries:
        return Status.PENDING
    return roll_up(deliveries)
