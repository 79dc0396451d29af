"""Run one delivery, event × rule: make its calls in order, and wait while it is held."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, RetryState
from temporalio.exceptions import TimeoutError as ActivityTimeoutError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.identify import IDENTIFY, Identify
    from activities.policy import Policy
    from activities.send import SEND, Send
    from activities.track import TRACK, Track
    from delivery.attempt import AttemptList, Call
    from delivery.delivery_log import DeliveryLog
    from delivery.errors import MappingError
    from delivery.event import Event
    from delivery.message import Message
    from delivery.outcome import OutcomeCode
    from delivery.reason import Reason
    from delivery.result import CallResult, DeliveryResult, Status
    from delivery.rule import MatchedRule
    from delivery.step import CONNECTION_HELD, Carried, Step, StepResult, activity_id
    from destinations.registry import action_of, build_messages, destination_of
    from workflows.holds import Holds

CallMethod = Callable[[Any, Step], Awaitable[StepResult]]

ACTIVITIES: dict[Call, tuple[CallMethod, Policy]] = {
    "identify": (Identify.identify, IDENTIFY),
    "track": (Track.track, TRACK),
    "send": (Send.send, SEND),
}

# A held delivery tries again once an hour, in case it gets no signal that its connection is back.
LOOK_AGAIN = timedelta(hours=1)

# Longer messages, of errors that aren't ours, are cut.
LONGEST_MESSAGE = 500

CANCELED_BEFORE = "canceled before this call was made"


class StepFailed(Exception):
    """A step that ended without being delivered."""

    def __init__(self, call: Call, result: StepResult, *, canceled: bool = False) -> None:
        super().__init__(result.message)
        self.call = call
        self.result = result
        self.canceled = canceled


class Delivery:
    """Runs the calls of one rule in order. It never raises, so it can't affect other rules.

    In a redelivery, `earlier` is what earlier runs did for this rule: all calls are made again, and
    the earlier attempts are carried along. `heartbeats` says that all workers send heartbeats.
    """

    def __init__(
        self,
        event: Event,
        rule: MatchedRule,
        deadline: datetime,
        holds: Holds,
        earlier: DeliveryLog | None = None,
        *,
        heartbeats: bool = False,
    ) -> None:
        self.rule = rule
        self.result: DeliveryResult | None = None
        self._event = event
        self._longest = action_of(rule).deadline
        self._deadline = min(deadline, workflow.info().workflow_start_time + self._longest)
        self._holds = holds
        self._earlier = earlier
        self._heartbeats = heartbeats
        self._started = False
        self._canceled = False
        self._kept: dict[str, AttemptList] = {}
        self._task: asyncio.Task[DeliveryResult] | None = None

    def start(self) -> asyncio.Task[DeliveryResult]:
        self._task = asyncio.create_task(self._run())
        return self._task

    def cancel(self) -> None:
        """Make no new attempt; a request in flight finishes and is recorded."""
        self._canceled = True
        if self._task is not None and self._started:  # otherwise it would end without a result
            self._task.cancel()

    def keep(self, attempts: dict[str, AttemptList]) -> None:
        """Remember attempts that Temporal drops when it cancels an activity."""
        self._kept.update(attempts)

    async def _run(self) -> DeliveryResult:
        self._started = True
        self.result = await self._deliver()
        return self.result

    async def _deliver(self) -> DeliveryResult:
        ended = self._ended_earlier()
        warnings: tuple[str, ...] = ()
        if self._canceled:
            error = f"{OutcomeCode.INTERNAL_ERROR}: {CANCELED_BEFORE}"
            return self._ended(Status.CANCELED, ended, error=error)
        try:
            messages = build_messages(self._event, self.rule)
            warnings = messages.warnings
            for message in messages.messages:
                if self._event.identify_only and message.call != "identify":
                    continue
                ended[message.call] = await self._step(message)
        except MappingError as err:
            error = f"{OutcomeCode.MAPPING_ERROR}: {err}"
            field = destination_of(self.rule).own_field(err.field)
            reason = Reason.of(OutcomeCode.MAPPING_ERROR, field=field)
            return self._ended(Status.FAILED, ended, error=error, reason=reason)
        except StepFailed as err:
            ended[err.call] = err.result
            status = Status.CANCELED if err.canceled else Status.FAILED
            error = f"{err.result.outcome_code}: {err.result.message}"
            reason = Reason.of_attempts(err.result.outcome_code, err.result.attempts)
            return self._ended(status, ended, warnings, error, None if err.canceled else reason)
        return self._ended(Status.COMPLETED, ended, warnings)

    def _ended_earlier(self) -> dict[Call, StepResult]:
        """Return how the calls ended in earlier runs; empty unless the event is redelivered."""
        calls = self._earlier.calls if self._earlier else ()
        return {call.call: result for call in calls if (result := call.step_result)}

    async def _step(self, message: Message) -> StepResult:
        made = self._earlier.call(message.call) if self._earlier else None
        step = Step(
            workspace=self._event.workspace,
            rule=self.rule.id,
            connection=self.rule.connection,
            message=message,
            deadline=self._deadline,
            attempts=made.attempt_list if made else AttemptList(),
            test=self._event.test,
        )
        while True:
            seen = self._holds.times_resumed(step.connection)
            try:
                return await self._execute(step)
            except ActivityError as err:
                result = self._result_of(err, step)
                if not _is_hold(err) or step.test or self._canceled:
                    raise StepFailed(message.call, result, canceled=self._canceled) from err
            step = step.model_copy(update={"attempts": result.attempts})
            await self._hold(step, result, seen)

    async def _execute(self, step: Step) -> StepResult:
        left = self._deadline - workflow.now()
        if self._canceled:
            raise StepFailed(step.message.call, _not_made(step, CANCELED_BEFORE), canceled=True)
        if left <= timedelta(0):
            raise StepFailed(step.message.call, self._given_up(step, "the deadline has passed"))
        method, policy = ACTIVITIES[step.message.call]
        if step.test:
            policy = policy.once()
        return await workflow.execute_activity_method(
            method,
            step,
            activity_id=activity_id(step.rule, step.message.call),
            start_to_close_timeout=policy.start_to_close,
            schedule_to_close_timeout=left,
            heartbeat_timeout=policy.heartbeat if self._heartbeats else None,
            retry_policy=policy.retry,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"{step.message.call} → {self.rule.connection_name}",
        )

    async def _hold(self, step: Step, result: StepResult, seen: int) -> None:
        """Wait, without a request, until the connection is resumed or an hour has passed."""
        wait = min(LOOK_AGAIN, self._deadline - workflow.now())
        self._holds.hold(self.rule.id, step.connection)
        try:
            if wait > timedelta(0):
                await workflow.wait_condition(
                    lambda: self._holds.times_resumed(step.connection) > seen,
                    timeout=wait,
                    timeout_summary=result.message,
                )
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            self._holds.release(self.rule.id)
            raise StepFailed(step.message.call, result, canceled=True) from None
        # Not in a `finally`: that also runs when a stopping worker drops this coroutine, and then
        # no workflow API can be called.
        self._holds.release(self.rule.id)
        if workflow.now() >= self._deadline:
            raise StepFailed(step.message.call, self._given_up(step, result.message))

    def _result_of(self, err: ActivityError, step: Step) -> StepResult:
        """Read how the activity ended, and its attempts, wherever Temporal kept them."""
        cause = err.cause
        result = _recorded(cause) if isinstance(cause, ApplicationError) else None
        if result is None:
            attempts = self._kept.get(activity_id(step.rule, step.message.call), step.attempts)
            handed_on = _carried(cause)
            if handed_on is not None and handed_on.count > attempts.count:
                attempts = handed_on
            if isinstance(cause, ActivityTimeoutError):
                return self._given_up(
                    step.model_copy(update={"attempts": attempts}), "no answer in time"
                )
            if self._canceled:
                message = "canceled between two attempts" if attempts.count else "canceled"
                code = _last_code(attempts)
            else:
                message, code = _described(cause), OutcomeCode.INTERNAL_ERROR
            result = StepResult(outcome_code=code, message=message, attempts=attempts)
        if err.retry_state is RetryState.TIMEOUT:
            # The next try would be after the deadline: the cause is the last try's error.
            message = f"given up after {self._hours} hours; last: {result.message}"
            return result.model_copy(update={"message": message})
        return result

    def _given_up(self, step: Step, reason: str) -> StepResult:
        return _not_made(step, f"given up after {self._hours} hours: {reason}")

    @property
    def _hours(self) -> int:
        return self._longest // timedelta(hours=1)

    def _ended(
        self,
        status: Status,
        ended: dict[Call, StepResult],
        warnings: tuple[str, ...] = (),
        error: str | None = None,
        reason: Reason | None = None,
    ) -> DeliveryResult:
        return DeliveryResult(
            rule=self.rule.id,
            connection=self.rule.connection,
            integration_type=self.rule.integration_type,
            status=status,
            **{call: CallResult.of(made) for call, made in ended.items() if made.attempts.count},
            warnings=warnings,
            error=error,
            reason=reason,
        )


def _is_hold(err: ActivityError) -> bool:
    return isinstance(err.cause, ApplicationError) and err.cause.type == CONNECTION_HELD


def _recorded(cause: ApplicationError) -> StepResult | None:
    """Read the result in an error's details; None for an error that isn't ours."""
    try:
        return StepResult.model_validate(cause.details[0]) if cause.details else None
    except ValidationError:
        return None


def _carried(cause: BaseException | None) -> AttemptList | None:
    """Read the attempts that the last try handed on, if it left no result."""
    details: Sequence[Any] = ()
    if isinstance(cause, ActivityTimeoutError):
        details = cause.last_heartbeat_details
    elif isinstance(cause, ApplicationError):
        details = cause.details
    try:
        return Carried.model_validate(details[0]).attempts if details else None
    except ValidationError:
        return None


def _described(cause: BaseException | None) -> str:
    if not isinstance(cause, ApplicationError):
        return f"the activity failed: {type(cause).__name__}"
    return f"the activity failed: {cause.type or 'error'}: {cause.message[:LONGEST_MESSAGE]}"


def _not_made(step: Step, message: str) -> StepResult:
    return StepResult(
        outcome_code=_last_code(step.attempts), message=message, attempts=step.attempts
    )


def _last_code(attempts: AttemptList) -> OutcomeCode:
    return attempts.last.outcome_code if attempts.last else OutcomeCode.INTERNAL_ERROR
