"""The engine's part in a simulated year: it tries, times out, waits and remembers, without time.

What it does is what the server does (version 1.32): a retry that would come after
`schedule_to_close` ends the activity at once with the last failure; heartbeat details sent before a
failure reach the next try; a lost worker is noticed when `start_to_close` has passed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    RetryState,
    TimeoutType,
)
from temporalio.exceptions import TimeoutError as ActivityTimeoutError

import activities.heartbeats
import activities.sender
import workflows.delivery
from activities.sender import Sender
from delivery.attempt import AttemptList
from delivery.step import CONNECTION_HELD, THROTTLED, Step, StepResult
from delivery.traffic import Tallies
from tests.year.weather import Weather, WorkerLost
from workflows.holds import Holds


@dataclass
class Try:
    """One try as the engine saw it end: its error's type, None for success, "lost" for no end."""

    ended: str | None
    status: int | None = None
    made: bool = True
    """Whether it counts as an attempt: a try that was sent away or found a hold made none."""


@dataclass
class Scheduling:
    """One scheduling of an activity, as history has it."""

    step: Step
    tries: list[Try] = field(default_factory=list)
    attempts: AttemptList = field(default_factory=AttemptList)


@dataclass
class Engine:
    """One delivery's engine; the modules under test find it where they expect Temporal's."""

    weather: Weather
    connections: Holds
    schedulings: list[Scheduling] = field(default_factory=list)
    attempt: int = 1
    details: Any = None
    told: bool = False
    """Whether the try under way has sent a heartbeat."""

    async def execute(
        self,
        step: Step,
        start_to_close: timedelta,
        schedule_to_close: timedelta,
        retry: RetryPolicy,
    ) -> StepResult:
        clock, made = self.weather.clock, Scheduling(step)
        self.schedulings.append(made)
        closes, self.attempt, self.details = clock.now + schedule_to_close, 1, None
        # As `Sender` is handed its parts in `worker.py`; these are the simulated ones.
        clients = {"customer_io": self.weather}
        sender = Sender(clients, self.weather, self.weather, Tallies())  # type: ignore[arg-type]
        while True:
            self.told = False
            requests = len(self.weather.sent)
            try:
                result = await sender.send(step)
                self.weather.maybe_die()
            except WorkerLost:
                made.tries.append(self._cut_off(requests))
                clock.now = min(clock.now + start_to_close, closes)
                failure: Exception = ActivityTimeoutError(
                    "start to close",
                    type=TimeoutType.START_TO_CLOSE,
                    last_heartbeat_details=[self.details] if self.details else [],
                )
                delay = self._interval(retry)
                if clock.now + delay >= closes:
                    made.attempts = self.details.attempts if self.details else step.attempts
                    raise _ended(failure, RetryState.TIMEOUT) from failure
            except ApplicationError as err:
                ended = StepResult.model_validate(err.details[0])
                silent = err.type == THROTTLED or (
                    err.type == CONNECTION_HELD and len(self.weather.sent) == requests
                )
                made.tries.append(Try(err.type, ended.status_code, made=not silent))
                made.attempts = ended.attempts
                if err.non_retryable or err.type in (retry.non_retryable_error_types or ()):
                    raise _ended(err, RetryState.NON_RETRYABLE_FAILURE) from err
                delay = err.next_retry_delay or self._interval(retry)
                if clock.now + delay >= closes:
                    raise _ended(err, RetryState.TIMEOUT) from err
            else:
                made.tries.append(Try(None, result.status_code))
                made.attempts = result.attempts
                return result
            clock.advance(delay)
            self.attempt += 1

    def _cut_off(self, requests: int) -> Try:
        """A try whose worker died; `requests` had been made before it."""
        status = None
        for sent in self.weather.sent[requests:]:
            # The wait that it asked for was never told to the engine, which waits its own time.
            status, sent.retry_after = sent.answer, None
        sent_away = self.told and self.details.throttled
        return Try("reported" if self.told else "lost", status, made=not sent_away)

    def _interval(self, retry: RetryPolicy) -> timedelta:
        longest = retry.maximum_interval or retry.initial_interval * 100
        wait = retry.initial_interval * retry.backoff_coefficient ** min(self.attempt - 1, 20)
        return min(wait, longest)

    def heartbeat(self, details: Any) -> None:
        """It may be lost with its worker, or be the last thing that is heard of it."""
        self.weather.maybe_die()
        self.details, self.told = details, True
        self.weather.maybe_die()

    async def wait_condition(self, fn: Callable[[], bool], timeout: timedelta, **_: Any) -> None:
        clock = self.weather.clock
        back = self.weather.comes_back_at
        if back > clock.now + timeout or self.weather.random.random() < 0.2:  # a signal is lost
            clock.advance(timeout)
            raise TimeoutError
        clock.now = back
        self.connections.resume(self.schedulings[-1].step.connection)
        assert fn()


def _ended(cause: Exception, state: RetryState) -> ActivityError:
    return ActivityError(
        "activity ended",
        scheduled_event_id=1,
        started_event_id=2,
        identity="year",
        activity_type="step",
        activity_id="step",
        retry_state=state,
    )


class Stage:
    """Stands where workflow and sender expect Temporal, a clock and chance."""

    def __init__(self) -> None:
        self.engine: Engine | None = None

    @property
    def on(self) -> Engine:
        assert self.engine is not None
        return self.engine

    def now(self, zone: tzinfo | None = None) -> datetime:
        return self.on.weather.clock.now

    async def execute_activity_method(self, method: Any, step: Step, **options: Any) -> StepResult:
        return await self.on.execute(
            step,
            options["start_to_close_timeout"],
            options["schedule_to_close_timeout"],
            options["retry_policy"],
        )

    async def wait_condition(self, fn: Callable[[], bool], **options: Any) -> None:
        await self.on.wait_condition(fn, **options)

    def info(self) -> SimpleNamespace:
        engine = self.on
        return SimpleNamespace(
            attempt=engine.attempt,
            workflow_id="the event",
            heartbeat_details=[engine.details] if engine.details is not None else [],
            heartbeat_timeout=None,
            current_attempt_scheduled_time=engine.weather.clock.now,
            workflow_start_time=engine.weather.clock.now,  # read when a delivery is made
        )

    def heartbeat(self, details: Any) -> None:
        self.on.heartbeat(details)

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncIterator[Stage]:
        yield self  # here nothing takes its time

    def reschedule(self, when: float | None) -> None:
        pass

    def random(self) -> float:
        return self.on.weather.random.random()

    def perf_counter(self) -> float:
        return self.on.weather.clock.now.timestamp()

    monotonic = perf_counter

    ActivityCancellationType = workflow.ActivityCancellationType


class WorkerClock:
    """Stands in for `datetime` in a worker, whose clock may be wrong."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def now(self, zone: tzinfo) -> datetime:
        weather = self._stage.on.weather
        return weather.clock.now + weather.skew


@contextmanager
def staged() -> Iterator[Stage]:
    """The real `Delivery` and `Sender`, on a simulated stage."""
    stage = Stage()
    with ExitStack() as patches:
        patches.enter_context(patch.object(workflows.delivery, "workflow", stage))
        for name in ("activity", "asyncio", "random", "time"):
            patches.enter_context(patch.object(activities.sender, name, stage))
        patches.enter_context(patch.object(activities.heartbeats, "activity", stage))
        patches.enter_context(patch.object(activities.sender, "datetime", WorkerClock(stage)))
        yield stage
