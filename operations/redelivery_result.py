"""What became of the events that a bulk redelivery has begun."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.client import Client
from temporalio.service import RPCError

from delivery.bulk_redelivery import EventOutcome, Progress, Selection
from delivery.result import Status
from delivery.search_attributes import REDELIVERY
from engine.search_attributes import is_unregistered
from eventlog.counts import count_events
from eventlog.latest_runs import latest_runs
from eventlog.listed_event import ListedEvent
from eventlog.query import EventQuery


@dataclass(frozen=True)
class RedeliveryResult:
    """Events, each by how it stands now; about so many have failed or were canceled unless `exact`.

    `redelivered_since` were redelivered by something else after this. `unknown` were begun without
    a mark by which lists find them: by an earlier version, or a moment ago.
    """

    delivered: int
    failed_again: int
    canceled: int
    under_way: int
    redelivered_since: int
    unknown: int
    exact: bool

    @property
    def begun(self) -> int:
        known = self.delivered + self.failed_again + self.canceled + self.under_way
        return known + self.redelivered_since + self.unknown


async def read_result(
    client: Client, selection: Selection, progress: Progress | None
) -> RedeliveryResult | None:
    """As lists know it, a moment late. None where no run can be marked yet."""
    query = EventQuery((selection.workspace,), redelivery=selection.id)
    try:
        counts = await count_events(client, query)
    except RPCError as err:
        if is_unregistered(err, REDELIVERY):
            return None
        raise
    begun = progress.redelivered if progress is not None else 0
    return RedeliveryResult(
        delivered=counts.by_status[Status.COMPLETED],
        failed_again=counts.by_status[Status.FAILED],
        canceled=counts.by_status[Status.CANCELED],
        under_way=counts.by_status[Status.PROCESSING],
        redelivered_since=counts.superseded,
        unknown=max(begun - counts.total - counts.superseded, 0),
        exact=counts.exact,
    )


async def read_statuses(client: Client, outcomes: tuple[EventOutcome, ...]) -> dict[str, Status]:
    """How the events that were begun stand now, by the id of the event that was sent."""
    ids = [one.sent_event_id for one in outcomes if one.outcome != "skipped"]
    latest = await latest_runs(client, ids)
    return {id: (await ListedEvent.of(run)).status for id, run in latest.items()}
