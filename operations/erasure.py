"""Erase events: end the open ones, delete every run, and wait until all are gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client

from delivery import search_attributes as names
from engine.missing import ignore_missing
from eventlog.fetch import EventNotFound, describe_event

REASON = "erased by an operator"

# The server deletes a run when no work is left for it, which it checks every 30 seconds.
LONGEST_WAIT = 180.0
POLL_SECONDS = 0.5


class NotErased(RuntimeError):
    """The server has not deleted all runs in time. It is safe to erase them again."""


async def erase_events(client: Client, event_ids: Iterable[str]) -> dict[str, bool]:
    """End events that are open, delete every run of theirs, and return when all are gone.

    The result says for each id whether there was such an event. A request in flight may still reach
    the vendor within 10 seconds.

    Raises:
        NotErased: the server has not deleted all runs in time.
    """
    asked: set[str] = set()
    known: dict[str, bool] = {}
    left = set(event_ids)
    deadline = time.monotonic() + LONGEST_WAIT
    while left:
        for event_id in tuple(left):
            runs = await _runs(client, event_id)
            known.setdefault(event_id, bool(runs))
            if not runs:
                left.discard(event_id)
            for run_id in runs - asked:
                await _end_and_delete(client, event_id, run_id)
                asked.add(run_id)
        if left and time.monotonic() > deadline:
            raise NotErased(f"the server is still deleting {len(left)} events; try again later")
        if left:
            await asyncio.sleep(POLL_SECONDS)
    return known


async def erase_events_of(client: Client, workspace: str) -> int:
    """Erase every listed event of a workspace; return how many there were.

    Raises:
        NotErased: the server has not deleted all runs in time.
    """
    query = f"{names.WORKSPACE.name} = '{_plain(workspace)}'"
    asked: set[str] = set()
    events: set[str] = set()
    fewest, deadline = None, time.monotonic() + LONGEST_WAIT
    while True:
        listed = 0
        async for run in client.list_workflows(query):
            listed += 1
            if run.run_id not in asked:
                await _end_and_delete(client, run.id, run.run_id)
                asked.add(run.run_id)
                events.add(run.id)
        if not listed:
            break
        if fewest is None or listed < fewest:
            fewest, deadline = listed, time.monotonic() + LONGEST_WAIT
        if time.monotonic() > deadline:
            raise NotErased(f"the server still lists {listed} of its runs; try again later")
        await asyncio.sleep(POLL_SECONDS)
    await erase_events(client, events)  # lists forget a run before it is gone
    return len(events)


async def _runs(client: Client, event_id: str) -> set[str]:
    """Find the latest run, which the server knows at once, and all runs that lists know."""
    query = f"WorkflowId = '{_plain(event_id)}'"
    found = {run.run_id async for run in client.list_workflows(query)}
    with suppress(EventNotFound):
        found.add((await describe_event(client, event_id)).run_id)
    return found


async def _end_and_delete(client: Client, event_id: str, run_id: str) -> None:
    request = DeleteWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=event_id, run_id=run_id),
    )
    handle = client.get_workflow_handle(event_id, run_id=run_id)
    for asking in (
        handle.terminate(reason=REASON),
        client.workflow_service.delete_workflow_execution(request),
    ):
        with ignore_missing(malformed_ids=True):  # it has already ended, or was deleted
            await asking


def _plain(text: str) -> str:
    """Return an id that is safe in a filter; our ids have no quotes, so any other is replaced."""
    return text if text.isascii() and "'" not in text and "\\" not in text else ""
