"""What an outcome makes of a delivery, as contract tests compare it."""

from __future__ import annotations

from delivery.outcome import Outcome, OutcomeCode, Then

RETRIED = (Then.RETRY, OutcomeCode.REJECTED_SERVER_ERROR)
THROTTLED = (Then.RETRY, OutcomeCode.RATE_LIMITED)
HELD = (Then.HOLD, OutcomeCode.AUTH_FAILED)
FAILED = (Then.STOP, OutcomeCode.REJECTED_CLIENT_ERROR)
DONE = (Then.DONE, OutcomeCode.DELIVERED)


def then(outcome: Outcome) -> tuple[Then, OutcomeCode]:
    return outcome.then, outcome.code
