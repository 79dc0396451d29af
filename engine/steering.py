"""Steer running deliveries: cancel an event or one rule's delivery, tell held ones to go on."""

from __future__ import annotations

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from delivery import steering
from delivery.attempt import AttemptList
from delivery.result import DeliveryResult
from delivery.search_attributes import CONNECTIONS, HELD, STATE
from delivery.step import Carried
from engine.event_log import EventNotFound


class AlreadyEnded(RuntimeError):
    """There is nothing left to steer: the event or the delivery has ended."""


async def cancel_event(client: Client, event_id: str) -> None:
    """Cancel every delivery of an event that has not ended; requests in flight finish.

    Raises:
        EventNotFound: no such event.
        AlreadyEnded: it has ended.
    """
    described = await _describe_open(client, event_id)
    handle = client.get_workflow_handle(event_id, run_id=described.run_id)
    await handle.signal(
        steering.KEEP_ATTEMPTS,
        steering.KeepAttempts(attempts=await attempts_underway(client, described)),
    )
    await handle.cancel()


async def cancel_delivery(client: Client, event_id: str, rule_id: str) -> DeliveryResult:
    """Cancel one rule's delivery; answers with how it ended.

    Raises:
        EventNotFound: no such event, or no delivery of it for that rule.
        AlreadyEnded: the delivery has ended.
    """
    described = await _describe_open(client, event_id)
    handle = client.get_workflow_handle(event_id, run_id=described.run_id)
    request = steering.CancelDelivery(
        rule=rule_id, attempts=await attempts_underway(client, described)
    )
    try:
        ended: DeliveryResult = await handle.execute_update(
            steering.CANCEL_DELIVERY, request, result_type=DeliveryResult
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


async def resume_connection(client: Client, connection_id: str) -> int:
    """Tell every run held for a connection that it is back; returns how many were told.

    One that is missed looks for itself within the hour.
    """
    told = 0
    query = (
        f"WorkflowType = 'DeliverEvent' AND ExecutionStatus = 'Running' "
        f"AND {STATE.name} = '{HELD}' AND {CONNECTIONS.name} = '{connection_id}'"
    )
    async for run in client.list_workflows(query):
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        try:
            await handle.signal(steering.CONNECTION_RESUMED, connection_id)
            told += 1
        except RPCError as err:
            if err.status is not RPCStatusCode.NOT_FOUND:  # it ended meanwhile
                raise
    return told


async def attempts_underway(
    client: Client, described: WorkflowExecutionDescription
) -> dict[str, AttemptList]:
    """The attempts that pending activities carry, by activity id."""
    underway: dict[str, AttemptList] = {}
    for info in described.raw_description.pending_activities:
        if not info.heartbeat_details.payloads:
            continue
        carried = (await client.data_converter.decode(info.heartbeat_details.payloads, [Carried]))[
            0
        ]
        underway[info.activity_id] = carried.attempts
    return underway


async def _describe_open(client: Client, event_id: str) -> WorkflowExecutionDescription:
    try:
        described = await client.get_workflow_handle(event_id).describe()
    except RPCError as err:
        if err.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            raise EventNotFound(
                f"no event {event_id} is known here: wrong id, or past its retention"
            ) from None
        raise
    if described.status is not WorkflowExecutionStatus.RUNNING:
        raise AlreadyEnded(f"event {event_id} has already ended")
    return described
