"""Read a run's history and its pending activities into plain facts.

Payloads must be decoded already; whoever fetches them undoes the codec, if there is one. What can't
be read is skipped: a log with a gap is better than no log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, ValidationError
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo

from delivery.attempt import AttemptList, Call
from delivery.result import EventResult
from delivery.rule import MatchResult
from delivery.search_attributes import ACCEPTED_AT
from delivery.signals import CANCEL_DELIVERY, KEEP_ATTEMPTS, CancelDelivery, KeepAttempts
from delivery.step import CONNECTION_HELD, Carried, Step, StepResult

# The memo in which a starter records who emitted an event.
CREATED_BY = "created_by"
# The memo in which a starter records who an event is about, if memos are encrypted.
PERSON = "person"

Model = TypeVar("Model", bound=BaseModel)
JsonObject = dict[str, Any]


@dataclass
class StepFacts:
    """One scheduling of a call.

    `end` is delivered, held, failed, timed_out or canceled, or None while it is open.
    """

    step: Step
    scheduled_at: datetime
    end: str | None = None
    ended_at: datetime | None = None
    result: StepResult | None = None
    attempts: AttemptList = field(default_factory=AttemptList)
    running: bool = False

    @property
    def call(self) -> Call:
        return self.step.message.call


@dataclass
class RunFacts:
    """One run of `DeliverEvent`.

    `closed` is completed, failed, canceled, terminated or timed_out, or None while it is open.
    """

    started_at: datetime
    accepted_at: datetime
    created_by: str | None = None
    input: JsonObject = field(default_factory=dict)
    input_size: int = 0
    matched: MatchResult | None = None
    steps: list[StepFacts] = field(default_factory=list)
    kept: dict[str, AttemptList] = field(default_factory=dict)
    canceled_rules: set[str] = field(default_factory=set)
    closed: str | None = None
    closed_at: datetime | None = None
    result: EventResult | None = None
    error: str | None = None
    error_type: str | None = None

    def steps_of(self, rule: str, call: Call) -> list[StepFacts]:
        return [s for s in self.steps if s.step.rule == rule and s.call == call]


def read_history(
    events: Sequence[HistoryEvent], pending: Iterable[PendingActivityInfo]
) -> RunFacts:
    """Read one run. `events` starts with its WorkflowExecutionStarted event."""
    facts = RunFacts(moment(events[0].event_time), accepted_at=_accepted_at(events[0]))
    by_event: dict[int, StepFacts] = {}
    matching: set[int] = set()
    for event in events:
        _read_event(event, facts, by_event, matching)
    open_steps = {f"{step.step.rule}/{step.call}": step for step in facts.steps if step.end is None}
    for info in pending:
        if step := open_steps.get(info.activity_id):
            step.running = info.state != 1  # 1 = scheduled: waits for a worker or its next try
            _carry(step, info.heartbeat_details)
    return facts


def _read_event(
    event: HistoryEvent, facts: RunFacts, by_event: dict[int, StepFacts], matching: set[int]
) -> None:
    at = moment(event.event_time)
    kind = event.event_type
    if kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
        started_with = event.workflow_execution_started_event_attributes.input
        facts.input_size = sum(len(payload.data) for payload in started_with.payloads)
        started = next(map(_json, started_with.payloads), None)
        facts.input = started if isinstance(started, dict) else {}
        facts.created_by = _created_by(event)
    elif kind == EventType.EVENT_TYPE_MARKER_RECORDED:
        details = event.marker_recorded_event_attributes.details
        if "result" in details:
            facts.matched = read(MatchResult, details["result"]) or facts.matched
    elif kind == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name == "match_rules":
            matching.add(event.event_id)
        elif step := read(Step, scheduled.input):
            by_event[event.event_id] = StepFacts(step, at, attempts=step.attempts)
            facts.steps.append(by_event[event.event_id])
    elif kind == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
        completed = event.activity_task_completed_event_attributes
        if completed.scheduled_event_id in matching:
            facts.matched = read(MatchResult, completed.result) or facts.matched
        elif step_facts := by_event.get(completed.scheduled_event_id):
            _end(step_facts, "delivered", at, read(StepResult, completed.result))
    elif kind == EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
        failed = event.activity_task_failed_event_attributes
        if step_facts := by_event.get(failed.scheduled_event_id):
            held = failed.failure.application_failure_info.type == CONNECTION_HELD
            _end(step_facts, "held" if held else "failed", at, failure_result(failed.failure))
            _carry(step_facts, failed.failure.application_failure_info.details)
    elif kind == EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
        timed_out = event.activity_task_timed_out_event_attributes
        if step_facts := by_event.get(timed_out.scheduled_event_id):
            _end(step_facts, "timed_out", at, failure_result(timed_out.failure))
            _carry(step_facts, timed_out.failure.timeout_failure_info.last_heartbeat_details)
    elif kind == EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
        canceled = event.activity_task_canceled_event_attributes
        if step_facts := by_event.get(canceled.scheduled_event_id):
            _end(step_facts, "canceled", at, None)
    elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
        signaled = event.workflow_execution_signaled_event_attributes
        if signaled.signal_name == KEEP_ATTEMPTS and (kept := read(KeepAttempts, signaled.input)):
            facts.kept.update(kept.attempts)
    elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
        request = event.workflow_execution_update_accepted_event_attributes.accepted_request.input
        if request.name == CANCEL_DELIVERY and (cancel := read(CancelDelivery, request.args)):
            facts.kept.update(cancel.attempts)
            facts.canceled_rules.add(cancel.rule)
    elif kind in _CLOSED:
        _read_close(event, facts, at)


def _accepted_at(started: HistoryEvent) -> datetime:
    """Read when the event was accepted: as the starter set it, otherwise when the run started."""
    attributes = started.workflow_execution_started_event_attributes.search_attributes
    payload = attributes.indexed_fields.get(ACCEPTED_AT.name)
    try:
        return datetime.fromisoformat(_json(payload) if payload is not None else "")
    except (TypeError, ValueError):
        return moment(started.event_time)


def _created_by(started: HistoryEvent) -> str | None:
    """Read who emitted the event, if its starter recorded that."""
    memo = started.workflow_execution_started_event_attributes.memo.fields
    said = _json(memo[CREATED_BY]) if CREATED_BY in memo else None
    return said if isinstance(said, str) else None


# How a run is closed by an event of its history, and the error that this means.
_CLOSED: dict[int, tuple[str, str | None]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: ("completed", None),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: ("failed", None),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: ("canceled", None),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: (
        "terminated",
        "terminated by an operator",
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: (
        "timed_out",
        "the run's own timeout, set by whoever started it, ran out",
    ),
}


def _read_close(event: HistoryEvent, facts: RunFacts, at: datetime) -> None:
    facts.closed, facts.error = _CLOSED[event.event_type]
    facts.closed_at = at
    if facts.closed == "completed":
        done = event.workflow_execution_completed_event_attributes
        facts.result = read(EventResult, done.result)
    elif facts.closed == "failed":
        failure = event.workflow_execution_failed_event_attributes.failure
        facts.error = failure.message
        facts.error_type = failure.application_failure_info.type or None
        facts.result = read(EventResult, failure.application_failure_info.details)


def _carry(step: StepFacts, details: Payloads) -> None:
    """Use the attempts that a try passed on, unless more are known already."""
    carried = read(Carried, details)
    if carried is not None and carried.attempts.count > step.attempts.count:
        step.attempts = carried.attempts


def _end(step: StepFacts, end: str, at: datetime, result: StepResult | None) -> None:
    step.end, step.ended_at, step.result = end, at, result
    if result is not None:
        step.attempts = result.attempts


def failure_result(failure: Failure) -> StepResult | None:
    """Find the `StepResult` in a failure or its causes."""
    result = read(StepResult, failure.application_failure_info.details)
    if result is None and failure.HasField("cause"):
        return failure_result(failure.cause)
    return result


def moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def read(model: type[Model], payloads: Payloads) -> Model | None:
    """Read the first payload as `model`; None when it is absent or something else."""
    for payload in payloads.payloads[:1]:
        if payload.metadata.get("encoding") == b"json/plain":
            with suppress(ValidationError):
                return model.model_validate_json(payload.data)
    return None


def _json(payload: Payload) -> Any:
    if payload.metadata.get("encoding") == b"json/plain":
        with suppress(ValueError, RecursionError):
            return json.loads(payload.data)
    return None
