"""Read the runs that the server lists first, for what needs no order: names, or a sample."""

from __future__ import annotations

from temporalio.client import Client, WorkflowExecution

from delivery import search_attributes as names
from eventlog.query import EventQuery, accepted_around


async def recent_runs(client: Client, query: EventQuery, most: int) -> list[WorkflowExecution]:
    """Return up to `most` runs, by one call: open ones, then those that ended last.

    Events before `accepted_from` are left out afterwards, since the server would sort all of a
    range before it lists the first.
    """
    asked = query.conditions() + accepted_around(None, query.accepted_to)
    listing = client.list_workflows(asked, page_size=most)
    await listing.fetch_next_page()
    return [
        run
        for run in listing.current_page or ()
        if query.covers(run.typed_search_attributes[names.ACCEPTED_AT]) and query.admits(run)
    ]
