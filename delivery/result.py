"""The outcome of an event: the workflow's result, and the details of its failure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from delivery.attempt import Attempt
from delivery.frozen_model import FrozenModel
from delivery.outcome import OutcomeCode
from delivery.reason import Reason
from delivery.step import StepResult


class Status(StrEnum):
    """The status of an event, and of each of its deliveries."""

    PENDING = "pending"
    PROCESSING = "processing"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def ended(self) -> bool:
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELED)


class CallResult(FrozenModel):
    """The summary of a call, with its first and last attempt only.

    The activity's own result or failure has every attempt; repeating them here for a hundred rules
    would come near Temporal's limit for one payload.
    """

    status_code: int | None
    attempt_count: int
    outcome_code: OutcomeCode
    attempts: tuple[Attempt, ...]

    @classmethod
    def of(cls, step: StepResult) -> CallResult:
        first, last = step.attempts.first, step.attempts.last
        ends = (first, last) if step.attempts.count > 1 else (first,)
        return cls(
            status_code=step.status_code,
            attempt_count=step.attempts.count,
            outcome_code=step.outcome_code,
            attempts=tuple(a.model_copy(update={"response_excerpt": None}) for a in ends if a),
        )


class DeliveryResult(FrozenModel):
    """The result of one delivery. A call that was never sent is None.

    `reason` is why it failed; None in what older releases recorded.
    """

    rule: str
    connection: str
    integration_type: str
    status: Status
    identify: CallResult | None = None
    track: CallResult | None = None
    send: CallResult | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None
    reason: Reason | None = None


class EventResult(FrozenModel):
    event_id: str
    status: Status
    total_rules: int
    completed_count: int
    failed_count: int
    deliveries: tuple[DeliveryResult, ...]

    @classmethod
    def of(cls, event_id: str, deliveries: Sequence[DeliveryResult]) -> EventResult:
        statuses = [delivery.status for delivery in deliveries]
        return cls(
            event_id=event_id,
            status=roll_up(statuses),
            total_rules=len(deliveries),
            completed_count=statuses.count(Status.COMPLETED),
            failed_count=statuses.count(Status.FAILED),
            deliveries=tuple(deliveries),
        )


def roll_up(statuses: Sequence[Status]) -> Status:
    """Derive an event's status from those of its deliveries.

    The first of these that any delivery has: retrying, processing, pending, failed. Otherwise the
    event is canceled if all its deliveries were, and else completed, also when no rule matched.
    """
    for status in (Status.RETRYING, Status.PROCESSING, Status.PENDING, Status.FAILED):
        if status in statuses:
            return status
    if statuses and all(status is Status.CANCELED for status in statuses):
        return Status.CANCELED
    return Status.COMPLETED
