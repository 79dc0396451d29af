"""Read what became of the events that a bulk redelivery has started."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.client import Client
from temporalio.service import RPCError

from delivery.result import Status
from delivery.search_attributes import REDELIVERY
from delivery.selection import EventOutcome, Progress, Selection
from engine.search_attributes import is_unregistered
from eventlog.counts import count_events
from eventlog.latest_runs import latest_runs
from eventlog.listed_event import ListedEvent
from eventlog.query import EventQuery


@dataclass(frozen=True)
class RedeliveryResult:
    """The number of events by how they stand now.

    Unless `exact`, `failed_again` and `canceled` are estimates. `redelivered_since` counts events
    that something else redelivered afterwards, `unknown` those that lists can't find yet, or that
    an older release started without a mark.
    """

    delivered: int
    failed_again: int
    canceled: int
    under_way: int
    redelivered_since: int
    unknown: int
    exact: bool

    @property
    def started(self) -> int:
        known = self.delivered + self.failed_again + self.canceled + self.under_way
        return known + self.redelivered_since + self.unknown


async def read_result(
    client: Client, selection: Selection, progress: Progress | None
) -> RedeliveryResult | None:
    """Read the result from lists, which are a moment late. None if runs can't be marked yet."""
    query = EventQuery((selection.workspace,), redelivery=selection.id)
    try:
        counts = await count_events(client, query)
    except RPCError as err:
        if is_unregistered(err, REDELIVERY):
            return None
        raise
    started = progress.redelivered if progress is not None else 0
    return RedeliveryResult(
        delivered=counts.by_status[Status.COMPLETED],
        failed_again=counts.by_status[Status.FAILED],
        canceled=counts.by_status[Status.CANCELED],
        under_way=counts.by_status[Status.PROCESSING],
        redelivered_since=counts.superseded,
        unknown=max(started - counts.total - counts.superseded, 0),
        exact=counts.exact,
    )


async def read_statuses(client: Client, outcomes: tuple[EventOutcome, ...]) -> dict[str, Status]:
    """Read how the events that were started stand now, by the id under which each was sent."""
    ids = [one.sent_event_id for one in outcomes if one.outcome != "skipped"]
    latest = await latest_runs(client, ids)
    return {id: (await ListedEvent.of(run)).status for id, run in latest.items()}
