"""The runs that a selection selects, as visibility lists them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from temporalio.client import Client, WorkflowExecution

from delivery import search_attributes as names
from delivery.bulk_redelivery import Selection
from delivery.result import Status
from engine.event_query import EventQuery, accepted_around, runs_of
from engine.paging import list_page

LARGEST_PAGE = 1_000
IDS_PER_QUERY = 200

# In the memo of an event that was sent anew: the original's id.
AGAIN_OF = "again_of"


async def selected_page(
    client: Client, selection: Selection, *, size: int, cursor: str | None
) -> tuple[list[WorkflowExecution], str | None]:
    """One page, latest ended first. Runs that have ended stay in their places between pages."""
    query = _query(selection)
    runs, following = await list_page(client, conditions(selection), size=size, cursor=cursor)
    admitted = [run for run in runs if query.admits(run) and _accepted(run, selection)]
    if selection.mode.sends_delivered_ones:
        # What was sent again before stands for an original, which is what would be sent anew.
        admitted = [run for run in admitted if AGAIN_OF not in await run.memo()]
    return admitted, following


async def selected_runs(client: Client, selection: Selection) -> AsyncIterator[WorkflowExecution]:
    """All of them, without those of events that were redelivered since."""
    cursor = None
    while True:
        runs, cursor = await selected_page(client, selection, size=LARGEST_PAGE, cursor=cursor)
        for start in range(0, len(runs), IDS_PER_QUERY):
            for run in await _latest_of(client, runs[start : start + IDS_PER_QUERY]):
                yield run
        if cursor is None:
            return


def conditions(selection: Selection) -> str:
    """The list filter, a little wider than the selection: stores round what they keep."""
    ended = f" AND CloseTime <= '{selection.as_of.isoformat()}'"
    accepted = accepted_around(selection.accepted_from, selection.accepted_to)
    return _query(selection).conditions() + accepted + ended


def _query(selection: Selection) -> EventQuery:
    return EventQuery(
        (selection.workspace,),
        event=selection.event,
        status=Status.COMPLETED if selection.mode.sends_delivered_ones else Status.FAILED,
        connection=selection.connection,
        rule=selection.rule,
    )


def _accepted(run: WorkflowExecution, selection: Selection) -> bool:
    accepted_at = run.typed_search_attributes[names.ACCEPTED_AT]
    return selection.accepted_from <= accepted_at < selection.accepted_to


async def _latest_of(client: Client, runs: Iterable[WorkflowExecution]) -> list[WorkflowExecution]:
    """Those that are their event's latest run."""
    runs = list(runs)
    if not runs:
        return []
    latest: dict[str, WorkflowExecution] = {}
    async for run in client.list_workflows(runs_of([run.id for run in runs])):
        if run.id not in latest or run.start_time > latest[run.id].start_time:
            latest[run.id] = run
    return [run for run in runs if run.id not in latest or latest[run.id].run_id == run.run_id]
