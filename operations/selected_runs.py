"""List and count the runs that a selection selects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from delivery import search_attributes as names
from delivery.result import Status
from delivery.selection import Selection
from engine.search_attributes import count_marked, is_unregistered
from eventlog.latest_runs import latest_runs
from eventlog.query import RUNS_AT_ONCE, EventQuery, NotSearchable, accepted_around
from operations.runs_page import list_page

# The memo in which an event that was sent again names its original.
AGAIN_OF = "again_of"


async def selected_page(
    client: Client, selection: Selection, *, size: int, cursor: str | None
) -> tuple[list[WorkflowExecution], str | None]:
    """Return one page, latest ended first, and each event once, even if several runs failed.

    Runs that have ended keep their places between pages.
    """
    query = _query(selection)
    runs, following = await list_page(client, conditions(selection), size=size, cursor=cursor)
    admitted = [run for run in runs if query.admits(run) and _accepted(run, selection)]
    if selection.mode.sends_delivered_ones:
        # What was itself sent again is left out: its original is what would be sent.
        return [run for run in admitted if AGAIN_OF not in run.raw_info.memo.fields], following
    return await _latest_of(client, admitted, selection), following


async def selected_runs(client: Client, selection: Selection) -> AsyncIterator[WorkflowExecution]:
    """List the runs of all pages."""
    cursor = None
    while True:
        runs, cursor = await selected_page(client, selection, size=RUNS_AT_ONCE, cursor=cursor)
        for run in runs:
            yield run
        if cursor is None:
            return


async def count_runs(client: Client, selection: Selection) -> int:
    """Count the runs that meet `conditions`: an event counts once for each of its runs.

    Raises:
        NotSearchable: the selection has a reason, by which this namespace can't search.
    """
    try:
        return (await client.count_workflows(conditions(selection))).count
    except RPCError as err:
        if is_unregistered(err, names.REASON):
            raise NotSearchable("reason", names.REASON) from err
        raise


async def count_left_out(client: Client, selection: Selection) -> int:
    """Estimate, by the marks of runs, how many of these `selected_page` leaves out.

    For a reason that is unknown: marks don't say why the superseded run failed.
    """
    if selection.reason is not None:
        return 0
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
    """Write the list filter. It is a little wider than the selection, since stores round times."""
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
        reason=selection.reason,
    )


def _accepted(run: WorkflowExecution, selection: Selection) -> bool:
    accepted_at = run.typed_search_attributes[names.ACCEPTED_AT]
    return selection.accepted_from <= accepted_at < selection.accepted_to


async def _latest_of(
    client: Client, runs: Sequence[WorkflowExecution], selection: Selection
) -> list[WorkflowExecution]:
    """Keep the runs that were their event's latest when the selection was frozen.

    Runs that this redelivery itself has started don't supersede them, whatever the clocks say.
    """
    own = names.redelivery_mark(names.AFTER_FAILED, selection.id)

    def before(run: WorkflowExecution) -> bool:
        started_by_this = run.typed_search_attributes.get(names.REDELIVERY) == own
        return run.start_time <= selection.as_of and not started_by_this

    latest = await latest_runs(client, [run.id for run in runs], among=before)
    return [run for run in runs if run.id in latest and latest[run.id].run_id == run.run_id]
