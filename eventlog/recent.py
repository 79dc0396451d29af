"""Read the runs that the server lists first: for names, a sample, or how dense events are.

They are not the newest, but mostly new. That takes one call, which costs the same however much is
stored; of each run, only the attributes that are asked for are decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio.api.common.v1 import SearchAttributes
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.converter import decode_typed_search_attributes

from delivery import search_attributes as names
from eventlog.query import EventQuery, accepted_around


@dataclass(frozen=True)
class RecentRun:
    raw: WorkflowExecutionInfo

    def get(self, key: SearchAttributeKey[Any]) -> Any:
        """Return a search attribute, or None."""
        found = self.raw.search_attributes.indexed_fields
        if key.name not in found:
            return None
        one = SearchAttributes(indexed_fields={key.name: found[key.name]})
        return decode_typed_search_attributes(one).get(key)

    @property
    def accepted_at(self) -> datetime:
        at: datetime = self.get(names.ACCEPTED_AT)
        return at


@dataclass(frozen=True)
class RecentRuns:
    """Runs, and whether they are all that match the query."""

    runs: list[RecentRun]
    complete: bool


async def recent_runs(client: Client, query: EventQuery, most: int) -> RecentRuns:
    """Return up to `most` runs: open ones, then those that ended last.

    Those of events accepted before `accepted_from` are left out afterwards, since the server would
    sort all of a range before it lists the first.
    """
    listed = await client.workflow_service.list_workflow_executions(
        ListWorkflowExecutionsRequest(
            namespace=client.namespace,
            query=query.conditions() + accepted_around(None, query.accepted_to),
            page_size=most,
        ),
        retry=True,
    )
    runs = [RecentRun(run) for run in listed.executions]
    return RecentRuns(
        [run for run in runs if query.covers(run.accepted_at)], not listed.next_page_token
    )
