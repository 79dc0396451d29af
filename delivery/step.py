"""One call of one delivery: what its activity is given and what it gives back."""

from __future__ import annotations

from pydantic import AwareDatetime

from delivery.attempt import AttemptList
from delivery.message import Message
from delivery.outcome import OutcomeCode
from delivery.values import Value

# Type of the error with which an activity says that its connection takes no deliveries now.
CONNECTION_HELD = "ConnectionHeld"

# Type of the error with which it gives its place in the worker back: no request was made, because
# the connection's rate or its part of the worker is used up for now.
THROTTLED = "Throttled"


class Step(Value):
    """Input of `identify` and `track`: the exact message and the connection it goes to.

    `attempts` are those made before a hold; `deadline` is when the delivery is given up. A `test`
    is tried once and never held.
    """

    workspace: str
    rule: str
    connection: str
    message: Message
    deadline: AwareDatetime
    attempts: AttemptList = AttemptList()
    test: bool = False


class StepResult(Value):
    """How a step ended, with every attempt.

    It is the activity's result when delivered, and the first detail of its error otherwise.
    `message` is one sentence for a person, without personal data.
    """

    outcome_code: OutcomeCode
    message: str
    status_code: int | None = None
    response_excerpt: str | None = None
    attempts: AttemptList = AttemptList()


class Carried(Value):
    """Heartbeat details: what the next try of the same activity has to know.

    `tries` is the engine's attempt number when this was written; a later try that finds a gap
    between it and its own number knows that a worker was lost in between. `throttled` says that
    the try which wrote it made no attempt, for want of a permit.
    """

    tries: int
    attempts: AttemptList
    throttled: bool = False


class Unsent(Value):
    """Tries in a row that made no request, by the engine's numbers, and the reason of all."""

    first: int
    last: int
    reason: str
    at: AwareDatetime


class Notes(Value):
    """Beside `Carried`, of tries that could not read it, or could not tell what they are to do."""

    unsent: tuple[Unsent, ...] = ()

    def of(self, attempt: int) -> Unsent | None:
        """The note of the try with the engine's number `attempt`."""
        return next((note for note in self.unsent if note.first <= attempt <= note.last), None)

    def add(self, note: Unsent) -> Notes:
        """These and `note`; it extends the one before where that has the same reason."""
        before = self.unsent[-1] if self.unsent else None
        if before is None or (before.reason, before.last + 1) != (note.reason, note.first):
            return Notes(unsent=(*self.unsent, note))
        longer = before.model_copy(update={"last": note.last})
        return Notes(unsent=(*self.unsent[:-1], longer))


def activity_id(rule: str, call: str) -> str:
    """The id by which one step of one delivery is found, paused or brought forward."""
    return f"{rule}/{call}"
