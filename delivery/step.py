"""One call of one delivery: its activity's input, result and heartbeat details."""

from __future__ import annotations

from pydantic import AwareDatetime

from delivery.attempt import AttemptList
from delivery.frozen_model import FrozenModel
from delivery.message import Message
from delivery.outcome import OutcomeCode

# The type of the error by which an activity says that its connection is paused or inactive.
CONNECTION_HELD = "ConnectionHeld"

# The type of the error by which an activity frees its slot: it made no request, because the
# connection's rate, or its share of this worker, is used up for now.
THROTTLED = "Throttled"

# The feature of workers that send heartbeats during a try, see `delivery.capabilities`.
HEARTBEATS = "heartbeats"


class Step(FrozenModel):
    """The input of `identify`, `track` and `send`: the exact message and its connection.

    `attempts` were made before a hold or in earlier runs. At `deadline` the delivery is given up. A
    `test` is tried once and never held.
    """

    workspace: str
    rule: str
    connection: str
    message: Message
    deadline: AwareDatetime
    attempts: AttemptList = AttemptList()
    test: bool = False


class StepResult(FrozenModel):
    """How a step ended, with every attempt.

    It is the activity's result when delivered, and otherwise the first detail of its error.
    `message` is one sentence for people, without personal data.
    """

    outcome_code: OutcomeCode
    message: str
    status_code: int | None = None
    response_excerpt: str | None = None
    attempts: AttemptList = AttemptList()

    @classmethod
    def of(cls, attempts: AttemptList) -> StepResult:
        """Return how a step ended that has made these attempts: as the last of them did."""
        last = attempts.kept[-1]
        return cls(
            outcome_code=last.outcome_code,
            message=last.message,
            status_code=last.status_code,
            response_excerpt=last.response_excerpt,
            attempts=attempts,
        )


class Carried(FrozenModel):
    """Heartbeat details: what the next try of the same activity has to know.

    `tries` is Temporal's attempt number of the try that wrote this. A later try that finds a gap
    between `tries` and its own number knows that a worker was lost in between. `throttled` says
    that the try got no permit, so it made no attempt.
    """

    tries: int
    attempts: AttemptList
    throttled: bool = False


class Unsent(FrozenModel):
    """Consecutive tries, by Temporal's numbers, that made no request for the same reason."""

    first: int
    last: int
    reason: str
    at: AwareDatetime


class Notes(FrozenModel):
    """Notes beside `Carried`, left by tries that could not read it, or their own input."""

    unsent: tuple[Unsent, ...] = ()

    def of(self, attempt: int) -> Unsent | None:
        """Return the note on the try to which Temporal gave the number `attempt`."""
        return next((note for note in self.unsent if note.first <= attempt <= note.last), None)

    def add(self, note: Unsent) -> Notes:
        """Return these with `note` added, or the last one extended if its reason is the same."""
        before = self.unsent[-1] if self.unsent else None
        if before is None or (before.reason, before.last + 1) != (note.reason, note.first):
            return Notes(unsent=(*self.unsent, note))
        longer = before.model_copy(update={"last": note.last})
        return Notes(unsent=(*self.unsent[:-1], longer))


def activity_id(rule: str, call: str) -> str:
    """Return the id by which one step of one delivery is found, paused or brought forward."""
    return f"{rule}/{call}"
