"""The signals and updates by which a running delivery is steered."""

from __future__ import annotations

from pydantic import Field

from delivery.attempt import AttemptList
from delivery.frozen_model import FrozenModel

CONNECTION_RESUMED = "connection_resumed"
KEEP_ATTEMPTS = "keep_attempts"
CANCEL_DELIVERY = "cancel_delivery"


class KeepAttempts(FrozenModel):
    """The attempts of activities that are about to be canceled, by activity id.

    Temporal drops the heartbeat details of an activity that it cancels between two tries, so
    whoever cancels reads them first and sends them along.
    """

    attempts: dict[str, AttemptList] = Field(default_factory=dict)


class CancelDelivery(KeepAttempts):
    """Cancel one rule's delivery."""

    rule: str


class WaitingStep(FrozenModel):
    """A step whose next attempt is to be made now, if it still waits for its try `attempt`."""

    event_id: str
    run_id: str
    activity_id: str
    attempt: int
