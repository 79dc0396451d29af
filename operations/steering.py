"""Steer running deliveries: cancel an event or one delivery, continue held ones, bring a
delivery's next attempt forward.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from delivery import signals
from delivery.attempt import CALLS, AttemptList
from delivery.delivery_log import DeliveryLog
from delivery.outcome import DELIVERY_DEADLINE
from delivery.result import DeliveryResult
from delivery.resume import RESUMED, SIGNALED_PER_SECOND, Resume
from delivery.step import Carried, activity_id
from eventlog.fetch import EventNotFound, describe_event, read_run_log
from eventlog.history import moment
from operations.next_attempt import is_scheduled, pending

# An attempt that is due within this time is not brought forward.
IMMINENT = timedelta(seconds=5)


class AlreadyEnded(RuntimeError):
    """The event or the delivery has ended, so there is nothing left to steer."""


class AttemptImminent(RuntimeError):
    """An attempt is in flight or due within seconds, so there is nothing to bring forward."""


class Held(RuntimeError):
    """The delivery waits for its connection, not for a time. Resume the connection instead."""


async def cancel_event(client: Client, event_id: str) -> None:
    """Cancel every open delivery of an event; requests in flight finish.

    Raises:
        EventNotFound: no such event.
        AlreadyEnded: it has ended.
    """
    described = await _describe_open(client, event_id)
    handle = client.get_workflow_handle(event_id, run_id=described.run_id)
    await handle.signal(
        signals.KEEP_ATTEMPTS,
        signals.KeepAttempts(attempts=await attempts_underway(client, described)),
    )
    await handle.cancel()


async def cancel_delivery(client: Client, event_id: str, rule_id: str) -> DeliveryResult:
    """Cancel one rule's delivery and return how it ended.

    Raises:
        EventNotFound: no such event, or no delivery of it for that rule.
        AlreadyEnded: the delivery has ended.
    """
    described = await _describe_open(client, event_id)
    handle = client.get_workflow_handle(event_id, run_id=described.run_id)
    request = signals.CancelDelivery(
        rule=rule_id, attempts=await attempts_underway(client, described)
    )
    try:
        ended: DeliveryResult = await handle.execute_update(
            signals.CANCEL_DELIVERY, request, result_type=DeliveryResult
        )
    except WorkflowUpdateFailedError as err:
        cause = err.cause
        message = cause.message if isinstance(cause, ApplicationError) else str(cause)
        if isinstance(cause, ApplicationError) and cause.type == "NotFound":
            raise EventNotFound(message) from None
        raise AlreadyEnded(message) from None
    except RPCError as err:
        if err.status is RPCStatusCode.NOT_FOUND:
            raise AlreadyEnded(f"event {event_id} has already ended") from None
        raise
    return ended


async def bring_forward(client: Client, event_id: str, rule_id: str, *, task_queue: str) -> None:
    """Make the next attempt of a waiting delivery now; its number and earlier attempts are kept.

    A separate workflow does it, so that nothing stays paused if a process dies meanwhile.

    Raises:
        EventNotFound: no such event, or no delivery of it for that rule.
        AttemptImminent: an attempt is in flight, or due within 5 seconds.
        Held: the delivery waits for its connection.
        AlreadyEnded: the delivery has ended.
    """
    described = await _describe_open(client, event_id)
    waiting = pending(described, *(activity_id(rule_id, call) for call in CALLS))
    if waiting is None:
        raise await _why_none_waits(client, described, rule_id)
    if not waiting.paused and _is_imminent(waiting):
        raise AttemptImminent("an attempt is in flight or due within 5 seconds")
    await client.start_workflow(
        "BringForward",
        signals.WaitingStep(
            event_id=described.id,
            run_id=described.run_id,
            activity_id=waiting.activity_id,
            attempt=waiting.attempt,
        ),
        id=f"bring-forward-{described.id}-{rule_id}",
        task_queue=task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        execution_timeout=DELIVERY_DEADLINE,  # there is nothing to bring forward after that
        static_summary="a delivery's next attempt is made now",
    )


async def resume_connection(
    client: Client,
    connection_id: str,
    *,
    task_queue: str,
    per_second: float = SIGNALED_PER_SECOND,
) -> str:
    """Signal every run held for a connection to continue; return the id of the workflow doing it.

    The connection must be active already. The workflow signals `per_second` runs a second. Calling
    this twice does no harm: a workflow that is running searches once more. A run that is missed
    tries by itself within an hour.
    """
    handle = await client.start_workflow(
        "ResumeConnection",
        Resume(connection=connection_id, per_second=per_second),
        id=f"resume-{connection_id}",
        task_queue=task_queue,
        start_signal=RESUMED,
        static_summary="deliveries held for a connection continue",
    )
    return handle.id


async def attempts_underway(
    client: Client, described: WorkflowExecutionDescription
) -> dict[str, AttemptList]:
    """Read the attempts that pending activities carry, by activity id."""
    underway: dict[str, AttemptList] = {}
    for info in described.raw_description.pending_activities:
        if payloads := info.heartbeat_details.payloads:
            [carried] = await client.data_converter.decode(payloads[:1], [Carried])
            underway[info.activity_id] = carried.attempts
    return underway


def _is_imminent(info: PendingActivityInfo) -> bool:
    if not is_scheduled(info) or not info.HasField("next_attempt_schedule_time"):
        return True  # a worker has it, or is about to take it
    return moment(info.next_attempt_schedule_time) - datetime.now(UTC) <= IMMINENT


async def _why_none_waits(
    client: Client, described: WorkflowExecutionDescription, rule_id: str
) -> Exception:
    log = await read_run_log(client, described)
    found: DeliveryLog | None = next((d for d in log.deliveries if d.rule == rule_id), None)
    if found is None and not log.deliveries:
        return AttemptImminent("the event is about to be matched with its rules")
    if found is None:
        return EventNotFound("no delivery of this event is for that rule")
    if found.held is not None:
        return Held(f"{found.held}; resume the connection, and the delivery continues")
    if found.status.ended:
        return AlreadyEnded("this delivery has already ended")
    return AttemptImminent("the delivery is under way")


async def _describe_open(client: Client, event_id: str) -> WorkflowExecutionDescription:
    described = await describe_event(client, event_id)
    if described.status is not WorkflowExecutionStatus.RUNNING:
        raise AlreadyEnded(f"event {event_id} has already ended")
    return described
