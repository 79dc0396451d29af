"""Export delivery logs in the order in which their runs ended, to keep them beyond retention.

A run ends once and doesn't change afterwards, so an export in this order can be continued: what was
exported stays exported, and what is still open follows when it has ended. A redelivered event is
exported once for each of its runs; the log of the last one is complete.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.client import Client, WorkflowExecution

from delivery.search_attributes import WORKSPACE
from delivery.timestamps import EPOCH
from engine.missing import ignore_missing
from eventlog.fetch import EventNotFound, read_run_log
from eventlog.log import EventLog
from eventlog.query import ROUNDING

# Lists lag behind. What ended more recently is left for the next export, so that none is missed.
LISTED_WITHIN = timedelta(seconds=30)

FIRST_WINDOW = timedelta(hours=1)
NARROWEST_WINDOW = timedelta(milliseconds=1)
MOST_AT_ONCE = 1_000
READ_AT_ONCE = 8


@dataclass(frozen=True, order=True)
class Mark:
    """The run at which an export stopped."""

    closed_at: datetime
    run_id: str


@dataclass(frozen=True)
class Exported:
    """One run. `log` is None if retention deleted the run while it was being read."""

    mark: Mark
    event_id: str
    log: EventLog | None

    def line(self) -> str:
        """Write one line of JSON, without a line break."""
        fields = {
            "closed_at": self.mark.closed_at.isoformat(),
            "run_id": self.mark.run_id,
            "event_id": self.event_id,
        }
        head = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        log = self.log.model_dump_json() if self.log else "null"
        return f'{head[:-1]},"log":{log}}}'


def read_mark(line: str | bytes) -> Mark:
    """Read the mark in an export's last line, from which the next export continues.

    Raises:
        ValueError: it isn't a line of an export.
    """
    try:
        fields = json.loads(line)
        return Mark(datetime.fromisoformat(fields["closed_at"]), str(fields["run_id"]))
    except (ValueError, TypeError, KeyError):
        raise ValueError("the last line is not a line of an export") from None


async def export_logs(
    client: Client,
    *,
    ended_from: datetime,
    ended_to: datetime | None = None,
    after: Mark | None = None,
    workspace: str | None = None,
) -> AsyncIterator[Exported]:
    """Export every run that ended in [`ended_from`, `ended_to`) once, in the order of their ends.

    `after` is the mark of the last run exported before; it replaces `ended_from`.

    Raises:
        CannotDecode: this process lacks a key. It stops, since a record must have no gaps.
    """
    settled = datetime.now(UTC) - LISTED_WITHIN
    end = min(ended_to, settled) if ended_to is not None else settled
    lower = after.closed_at if after is not None else max(ended_from, EPOCH)
    width = FIRST_WINDOW
    while lower < end:
        upper = min(lower + width, end)
        count = (await client.count_workflows(_ended(lower, upper, workspace))).count
        if count > MOST_AT_ONCE and upper - lower > NARROWEST_WINDOW:
            width = max((upper - lower) / 8, NARROWEST_WINDOW)
            continue
        runs = await _runs(client, lower, upper, workspace)
        due = [run for run in runs if after is None or _mark(run) > after]
        for start in range(0, len(due), READ_AT_ONCE):
            several = due[start : start + READ_AT_ONCE]
            for exported in await asyncio.gather(*(_read(client, run) for run in several)):
                yield exported
        lower = upper
        if count < MOST_AT_ONCE // 8:
            width *= 4


async def _runs(
    client: Client, lower: datetime, upper: datetime, workspace: str | None
) -> Sequence[WorkflowExecution]:
    """List the runs of a window in order. The store rounds, so the filter is a little wider."""
    query = _ended(lower - ROUNDING, upper + ROUNDING, workspace)
    runs = [run async for run in client.list_workflows(query, page_size=MOST_AT_ONCE)]
    found = {run.run_id: run for run in runs if run.close_time and lower <= run.close_time < upper}
    return sorted(found.values(), key=_mark)


async def _read(client: Client, run: WorkflowExecution) -> Exported:
    log = None
    with ignore_missing(), suppress(EventNotFound):
        described = await client.get_workflow_handle(run.id, run_id=run.run_id).describe()
        log = await read_run_log(client, described)
    return Exported(_mark(run), run.id, log)


def _mark(run: WorkflowExecution) -> Mark:
    assert run.close_time is not None  # the filter asks for closed runs only
    return Mark(run.close_time, run.run_id)


def _ended(lower: datetime, upper: datetime, workspace: str | None) -> str:
    query = (
        f"WorkflowType = 'DeliverEvent' AND CloseTime >= '{lower.isoformat()}' "
        f"AND CloseTime < '{upper.isoformat()}'"
    )
    return query if workspace is None else f"{query} AND {WORKSPACE.name} = '{workspace}'"
