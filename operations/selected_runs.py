"""The runs that a selection selects, as visibility lists them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from temporalio.client import Client, WorkflowExecution

from delivery import search_attributes as names
from delivery.bulk_redelivery import Selection
from delivery.result import Status
from engine.search_attributes import count_marked
from eventlog.latest_runs import latest_runs
from eventlog.query import EventQuery, accepted_around
from operations.runs_page import list_page

LARGEST_PAGE = 1_000

# In the memo of an event that was sent anew: the original's id.
AGAIN_OF = "again_of"


async def selected_page(
    client: Client, selection: Selection, *, size: int, cursor: str | None
) -> tuple[list[WorkflowExecution], str | None]:
    """One page, latest ended first, an event once however many of its runs have failed.

    Runs that have ended stay in their places between pages.
    """
    query = _query(selection)
    runs, following = await list_page(client, conditions(selection), size=size, cursor=cursor)
    admitted = [run for run in runs if query.admits(run) and _accepted(run, selection)]
    if selection.mode.sends_delivered_ones:
        # What was sent again before stands for an original, which is what would be sent anew.
        return [run for run in admitted if AGAIN_OF not in await run.memo()], following
    return await _latest_of(client, admitted, selection), following


async def selected_runs(client: Client, selection: Selection) -> AsyncIterator[WorkflowExecution]:
    """All of them."""
    cursor = None
    while True:
        runs, cursor = await selected_page(client, selection, size=LARGEST_PAGE, cursor=cursor)
        for run in runs:
            yield run
        if cursor is None:
            return


async def count_runs(client: Client, selection: Selection) -> int:
    """How many runs meet `conditions`: an event counts with each."""
    return (await client.count_workflows(conditions(selection))).count


async def count_left_out(client: Client, selection: Selection) -> int:
    """About how many of these runs `selected_page` leaves out: as far as runs are marked."""
    if selection.mode.sends_delivered_ones:
        again = f" AND {names.REDELIVERY.name} STARTS_WITH '{names.SENT_AGAIN}'"
        return await count_marked(client, conditions(selection) + again)
    superseding = (
        replace(_query(selection), status=None).conditions()
        + accepted_around(selection.accepted_from, selection.accepted_to)
        + f" AND {names.REDELIVERY.name} STARTS_WITH '{names.AFTER_FAILED}'"
        + f" AND StartTime <= '{selection.as_of.isoformat()}'"
    )
    return await count_marked(client, superseding)


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


async def _latest_of(
    client: Client, runs: Sequence[WorkflowExecution], selection: Selection
) -> list[WorkflowExecution]:
    """Those that were their event's latest run when the selection was frozen.

    What this redelivery itself has begun doesn't supersede them, whatever the clocks say.
    """
    own = names.redelivery_mark(names.AFTER_FAILED, selection.id)

    def before(run: WorkflowExecution) -> bool:
        begun_by_this = run.typed_search_attributes.get(names.REDELIVERY) == own
        return run.start_time <= selection.as_of and not begun_by_this

    latest = await latest_runs(client, [run.id for run in runs], among=before)
    return [run for run in runs if run.id in latest and latest[run.id].run_id == run.run_id]
