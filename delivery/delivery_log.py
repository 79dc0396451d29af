"""One delivery in the log: its two calls and every attempt kept."""

from __future__ import annotations

from pydantic import AwareDatetime

from delivery.attempt import Attempt, AttemptList, Call
from delivery.builds import build_of
from delivery.outcome import OutcomeCode
from delivery.result import CallResult, DeliveryResult, Status
from delivery.rule import CUSTOMER_IO
from delivery.step import StepResult
from delivery.values import JsonObject, Value


class CallLog(Value):
    """One call of a delivery: what was sent, what came back, every attempt kept.

    `build` is the version of the builder that made `request`; None where the release that wrote
    this did not say. `never_sent` when no request of it can have left: it was held all the time.
    """

    call: Call
    request: JsonObject
    outcome_code: OutcomeCode | None
    status_code: int | None
    response_excerpt: str | None
    attempt_count: int
    attempts_left_out: int
    attempts: tuple[Attempt, ...]
    next_attempt_at: AwareDatetime | None
    in_flight: bool
    build: int | None = None
    never_sent: bool = False

    @property
    def attempt_list(self) -> AttemptList:
        return AttemptList(count=self.attempt_count, kept=self.attempts)

    @property
    def step_result(self) -> StepResult | None:
        """How the call last ended; None when no attempt of it was made."""
        last = self.attempt_list.last
        if last is None:
            return None
        return StepResult(
            outcome_code=last.outcome_code,
            message=last.message,
            status_code=last.status_code,
            response_excerpt=last.response_excerpt,
            attempts=self.attempt_list,
        )


class DeliveryLog(Value):
    """One event × one rule. `held` says why it waits for its connection, None when it doesn't."""

    rule: str
    connection: str
    connection_name: str
    integration_type: str = CUSTOMER_IO
    status: Status
    held: str | None = None
    attempt_count: int = 0
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    last_error: str | None = None
    warnings: tuple[str, ...] = ()
    identify: CallLog | None = None
    track: CallLog | None = None

    def call(self, call: Call) -> CallLog | None:
        return self.identify if call == "identify" else self.track

    @property
    def builds(self) -> dict[Call, int]:
        """Of each call that may have been sent, the build that made its message."""
        calls = [call for call in (self.identify, self.track) if call and not call.never_sent]
        return {call.call: call.build or build_of(call.request) for call in calls}

    @property
    def result(self) -> DeliveryResult:
        """The same in short, as it stands in a run's result."""
        return DeliveryResult(
            rule=self.rule,
            connection=self.connection,
            integration_type=self.integration_type,
            status=self.status,
            identify=_in_short(self.identify),
            track=_in_short(self.track),
            warnings=self.warnings,
            error=self.last_error,
        )


def _in_short(call: CallLog | None) -> CallResult | None:
    ended = call.step_result if call is not None else None
    return CallResult.of(ended) if ended is not None else None
