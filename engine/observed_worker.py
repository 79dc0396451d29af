"""Counts what a worker does, around workflows and activities rather than inside them.

A workflow's counts are made with its own meter, which is silent while a history is replayed.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError, is_cancelled_exception
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

with workflow.unsafe.imports_passed_through():
    from delivery.outcome import DELIVERY_DEADLINE
    from delivery.result import EventResult
    from delivery.step import CONNECTION_HELD, THROTTLED, Step, StepResult
    from engine import metric_names as names

EVENT_WORKFLOW = "DeliverEvent"
FAILED = "DeliveryFailed"
INVALID = "InvalidEvent"

log = structlog.get_logger("emitonce.delivery")


class ObservedWorker(Interceptor):
    """Counts events, deliveries and tries of a worker."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _ObservedActivity(next)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        return _ObservedWorkflow


class _ObservedWorkflow(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        if workflow.info().workflow_type != EVENT_WORKFLOW:
            return await super().execute_workflow(input)
        meter = workflow.metric_meter()
        meter.create_counter(names.EVENTS_ACCEPTED, "Events started").add(1)
        ended = meter.create_counter(names.EVENTS_ENDED, "Events ended, by status")
        try:
            result = await super().execute_workflow(input)
        except Exception as err:
            if isinstance(err, ApplicationError) and err.type in (FAILED, INVALID):
                failed = err.type == FAILED
                ended.add(1, {"status": "failed" if failed else "invalid"})
                _count_deliveries(err.details[0] if failed and err.details else None)
            elif is_cancelled_exception(err):
                ended.add(1, {"status": "canceled"})
            raise
        if isinstance(result, EventResult):
            ended.add(1, {"status": result.status.value})
            _count_deliveries(result)
        return result


def _count_deliveries(result: Any) -> None:
    if not isinstance(result, EventResult):
        return
    counter = workflow.metric_meter().create_counter(
        names.DELIVERIES_ENDED, "Deliveries ended, by status"
    )
    for delivery in result.deliveries:
        counter.add(1, {"status": delivery.status.value, "connection": delivery.connection})


class _ObservedActivity(ActivityInboundInterceptor):
    """One line in the log and one count for each try of `identify` and `track`."""

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        step = input.args[0] if input.args else None
        if not isinstance(step, Step):
            return await super().execute_activity(input)
        started = time.perf_counter()
        try:
            result = await super().execute_activity(input)
        except ApplicationError as err:
            told = err.details[0] if err.details else None
            if isinstance(told, StepResult):
                _observe(step, told, _then(err), time.perf_counter() - started)
            raise
        if isinstance(result, StepResult):
            _observe(step, result, "done", time.perf_counter() - started)
            if step.message.call == "track":
                _observe_delivered(step)
        return result


def _then(err: ApplicationError) -> str:
    if err.type == THROTTLED:
        return "throttled"
    if err.type == CONNECTION_HELD:
        return "held"
    return "failed" if err.non_retryable else "retry"


def _observe(step: Step, told: StepResult, then: str, seconds: float) -> None:
    meter, call, outcome = activity.metric_meter(), step.message.call, _outcome(told, then)
    meter.create_counter(names.ATTEMPTS, "Tries of a call, by outcome").add(
        1, {"call": call, "outcome": outcome, "then": then, "connection": step.connection}
    )
    last = told.attempts.last
    if told.status_code is not None and last is not None and then != "throttled":
        meter.create_histogram_timedelta(
            names.VENDOR_LATENCY, "Until the vendor's answer", unit="s"
        ).record(timedelta(milliseconds=last.duration_ms), {"call": call, "outcome": outcome})
    info = activity.info()
    line = log.debug if then in ("done", "throttled") else log.info
    line(
        "attempt",
        event_id=info.workflow_id,
        run_id=info.workflow_run_id,
        workspace=step.workspace,
        rule=step.rule,
        connection=step.connection,
        call=call,
        attempt=told.attempts.count,
        outcome=outcome,
        status_code=told.status_code,
        then=then,
        duration_ms=round(seconds * 1000),
    )


def _outcome(told: StepResult, then: str) -> str:
    """Return the outcome; `held` if no request was made because the connection is held."""
    return "held" if then == "held" and told.status_code is None else told.outcome_code.value


def _observe_delivered(step: Step) -> None:
    accepted_at = step.deadline - DELIVERY_DEADLINE
    activity.metric_meter().create_histogram_timedelta(
        names.DELIVERY_LATENCY, "From acceptance to the vendor's yes to track", unit="s"
    ).record(max(datetime.now(UTC) - accepted_at, timedelta(0)))
