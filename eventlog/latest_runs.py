"""Find the latest run of each event: a redelivered event has several."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from temporalio.client import Client, WorkflowExecution

from eventlog.query import runs_of

IDS_PER_QUERY = 200


async def latest_runs(
    client: Client,
    event_ids: Sequence[str],
    *,
    among: Callable[[WorkflowExecution], bool] = lambda run: True,
) -> dict[str, WorkflowExecution]:
    """Return, by event id, the latest of the runs that `among` admits; an event may have none."""
    latest: dict[str, WorkflowExecution] = {}
    distinct = list(dict.fromkeys(event_ids))
    for start in range(0, len(distinct), IDS_PER_QUERY):
        async for run in client.list_workflows(runs_of(distinct[start : start + IDS_PER_QUERY])):
            known = latest.get(run.id)
            if among(run) and (known is None or run.start_time > known.start_time):
                latest[run.id] = run
    return latest
