"""One delivery in the log: its calls, each with the attempts that were kept."""

from __future__ import annotations

from pydantic import AwareDatetime

from delivery.attempt import CALLS, Attempt, AttemptList, Call
from delivery.frozen_model import FrozenModel, JsonObject
from delivery.outcome import OutcomeCode
from delivery.reason import Reason
from delivery.result import CallResult, DeliveryResult, Status
from delivery.step import StepResult


class CallLog(FrozenModel):
    """One call of a delivery: what was sent, what came back, the attempts that were kept.

    `build` is the version of the builder that made `request`, or None in what older releases
    wrote. `never_sent` means that no request can have left, since the call was held all the time.
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
        """How the call last ended; None when no attempt was made."""
        return StepResult.of(self.attempt_list) if self.attempts else None


class DeliveryLog(FrozenModel):
    """One delivery: event × rule. `held` says why it waits for its connection, or is None, and
    `reason` why it failed, or is None.

    `integration_type` is blank in inputs of redeliveries that older releases wrote.
    """

    rule: str
    connection: str
    connection_name: str
    integration_type: str = ""
    status: Status
    held: str | None = None
    attempt_count: int = 0
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    last_error: str | None = None
    reason: Reason | None = None
    warnings: tuple[str, ...] = ()
    identify: CallLog | None = None
    track: CallLog | None = None
    send: CallLog | None = None

    @property
    def calls(self) -> tuple[CallLog, ...]:
        """The calls that were scheduled, in order."""
        return tuple(log for call in CALLS if (log := self.call(call)) is not None)

    def call(self, call: Call) -> CallLog | None:
        log: CallLog | None = getattr(self, call)
        return log

    @property
    def builds(self) -> dict[Call, int]:
        """By call, the build of each message that may have been sent, where it is known."""
        return {call.call: call.build for call in self.calls if call.build and not call.never_sent}

    @property
    def result(self) -> DeliveryResult:
        """The summary of this delivery, as a run's result has it."""
        return DeliveryResult(
            rule=self.rule,
            connection=self.connection,
            integration_type=self.integration_type,
            status=self.status,
            **{
                call.call: CallResult.of(ended)
                for call in self.calls
                if (ended := call.step_result) is not None
            },
            warnings=self.warnings,
            error=self.last_error,
            reason=self.reason,
        )
