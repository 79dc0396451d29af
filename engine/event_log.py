"""Fetch one event's run from Temporal and read it into its delivery log."""

from __future__ import annotations

from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError, RPCStatusCode

from delivery.log import EventLog, delivery_log


class EventNotFound(LookupError):
    """No run of that event is known: a wrong id, or older than the namespace's retention."""


async def read_event_log(client: Client, event_id: str) -> EventLog:
    """The log of the latest run of `event_id`.

    Raises:
        EventNotFound: see there.
    """
    return await read_run_log(client, await describe_event(client, event_id))


async def describe_event(client: Client, event_id: str) -> WorkflowExecutionDescription:
    """The latest run of `event_id`, as it stands.

    Raises:
        EventNotFound: see there.
    """
    try:
        return await client.get_workflow_handle(event_id).describe()
    except RPCError as err:
        if err.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            raise EventNotFound(
                f"no event {event_id} is known here: wrong id, or past its retention"
            ) from None
        raise


async def read_run_log(client: Client, described: WorkflowExecutionDescription) -> EventLog:
    handle = client.get_workflow_handle(described.id, run_id=described.run_id)
    history = await handle.fetch_history()
    return delivery_log(
        described.id,
        described.run_id,
        history.events,
        described.raw_description.pending_activities,
    )
