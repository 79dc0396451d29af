"""Fetch one event's run from Temporal and read it into its delivery log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import JsonValue
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowExecutionDescription

from engine.decoding import decode_in_place
from engine.missing import ignore_missing
from eventlog.log import EventLog, delivery_log, payload_of

# A larger history is read in a thread, so that the event loop isn't blocked.
READ_AT_ONCE = 64 * 1024

T = TypeVar("T")


class EventNotFound(LookupError):
    """No run of the event is known: the id is wrong, or older than the namespace's retention."""


async def read_event_log(client: Client, event_id: str) -> EventLog:
    """Read the log of the latest run of `event_id`.

    Raises:
        EventNotFound: no run of the event is known.
        CannotDecode: this process lacks a key with which the run was written.
    """
    return await read_run_log(client, await describe_event(client, event_id))


async def describe_event(client: Client, event_id: str) -> WorkflowExecutionDescription:
    """Describe the latest run of `event_id`.

    Temporal's ids are case-sensitive, and other SDKs may start events under ids in upper case. So
    an id is looked up as it is given, and then in lower case, as our own clients make them.

    Raises:
        EventNotFound: no run of the event is known.
    """
    for id in dict.fromkeys((event_id, event_id.lower())):
        with ignore_missing(malformed_ids=True):
            return await client.get_workflow_handle(id).describe()
    raise EventNotFound(f"event {event_id} is not known here: wrong id, or past its retention")


async def read_payload(client: Client, event_id: str) -> dict[str, JsonValue] | None:
    """Read only the payload of `event_id`; None when it can't be read, or when the run's input is
    larger than an event may be, such as with a record of many deliveries.

    Raises:
        EventNotFound: no run of the event is known.
        CannotDecode: this process lacks a key with which the run was written.
    """
    found = client.get_workflow_handle(event_id).fetch_history_events(page_size=1)
    with ignore_missing():
        started = await anext(found)
        await decode_in_place(client, event_id, started)
        return await while_others_run([started], lambda: payload_of(event_id, started))
    raise _past_retention(event_id)


async def read_run_log(client: Client, described: WorkflowExecutionDescription) -> EventLog:
    history, pending = await fetch_run(client, described)
    return await while_others_run(
        history, lambda: delivery_log(described.id, described.run_id, history, pending)
    )


async def while_others_run(history: Sequence[HistoryEvent], read: Callable[[], T]) -> T:
    """Return what `read` returns; run it in a thread if the history is large."""
    if sum(event.ByteSize() for event in history) > READ_AT_ONCE:
        return await asyncio.to_thread(read)
    return read()


async def fetch_run(
    client: Client, described: WorkflowExecutionDescription
) -> tuple[Sequence[HistoryEvent], Sequence[PendingActivityInfo]]:
    """Fetch one run's history and its pending activities, decoded.

    Raises:
        EventNotFound: the run has been deleted since it was described.
        CannotDecode: this process lacks a key with which they were written.
    """
    handle = client.get_workflow_handle(described.id, run_id=described.run_id)
    pending = described.raw_description.pending_activities
    with ignore_missing():
        events = (await handle.fetch_history()).events
        await decode_in_place(client, described.id, *events, *pending)
        return events, pending
    raise _past_retention(described.id)


def _past_retention(event_id: str) -> EventNotFound:
    return EventNotFound(f"event {event_id} is not known here: past its retention")
