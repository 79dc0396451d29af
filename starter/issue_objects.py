"""Read and show issues, for CLI, API and console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.client import Client

from catalog import Catalog
from catalog.connections import Connection
from catalog.paging import read_all
from delivery.reason import headline
from delivery.selection import Selection, select
from delivery.timestamps import EPOCH
from destinations.headlines import vendor_of
from eventlog.issues import MOST_FAILED, Issue, Issues, find_issues
from eventlog.query import EventQuery
from starter.json_objects import JsonObject, listed_event_object, moment, present
from starter.redelivery_objects import selection_object

# How far back issues are read unless someone says how far.
USUALLY = timedelta(days=7)
MOST_CONNECTIONS = 2_000


@dataclass(frozen=True)
class WorkspaceIssues:
    """The issues among events of `selection`; `connections` are those that still exist, by id."""

    found: Issues
    selection: Selection
    connections: Mapping[str, Connection]

    def headline(self, issue: Issue) -> str:
        return headline(vendor_of(issue.failure.type), issue.failure.reason)

    def redelivery(self, issue: Issue) -> Selection | None:
        """Select exactly the issue's events; None if they can't be delivered again: deleting a
        connection deletes its rules.
        """
        if issue.failure.connection not in self.connections:
            return None
        only = {"connection": issue.failure.connection, "reason": issue.failure.reason.key}
        return self.selection.model_copy(update=only)

    @property
    def note(self) -> str | None:
        """Say what these issues lack; None if that is nothing."""
        found, notes = self.found, []
        if not found.complete:
            notes.append(
                f"more than {MOST_FAILED:,} events failed in this time, and only the latest "
                f"{MOST_FAILED:,} were read: choose a shorter time"
            )
        if found.unexplained:
            notes.append(
                f"no reason was recorded for {found.unexplained:,} failed "
                f"{'event' if found.unexplained == 1 else 'events'}"
            )
        return "; ".join(notes) or None


async def workspace_issues(
    client: Client,
    catalog: Catalog,
    organization: str,
    workspace: str,
    *,
    accepted_from: datetime | None,
    accepted_to: datetime | None,
) -> WorkspaceIssues:
    """Read the issues among events accepted in a time range: by default, of the last seven days.

    Raises:
        InvalidSelection: the time range is empty, reversed or in the future, or a time has no zone.
    """
    now = datetime.now(UTC)
    selection = select(
        workspace,
        accepted_from=accepted_from or max(accepted_to or now, EPOCH) - USUALLY,
        accepted_to=accepted_to,
        now=now,
    )
    query = EventQuery(
        (workspace,),
        accepted_from=selection.accepted_from,
        accepted_to=selection.accepted_to,
    )
    found = await find_issues(client, query)
    listed = await read_all(
        catalog.connections.list, organization, workspace=workspace, most=MOST_CONNECTIONS
    )
    return WorkspaceIssues(found, selection, {connection.id: connection for connection in listed})


def issues_object(read: WorkspaceIssues) -> JsonObject:
    selection, found = read.selection, read.found
    return {
        "workspace": selection.workspace,
        "accepted_from": moment(selection.accepted_from),
        "accepted_to": moment(selection.accepted_to),
        "failed": found.failed,
        "unexplained": found.unexplained,
        "complete": found.complete,
        **present(note=read.note),
        "count": len(found.issues),
        "records": [_issue_object(read, issue) for issue in found.issues],
    }


def _issue_object(read: WorkspaceIssues, issue: Issue) -> JsonObject:
    failure, redelivery = issue.failure, read.redelivery(issue)
    known = read.connections.get(failure.connection)
    return {
        "connection": failure.connection,
        **present(connection_name=known and known.name),
        "integration_type": failure.type,
        "headline": read.headline(issue),
        "reason": failure.reason.key,
        "outcome_code": failure.reason.outcome,
        **present(
            status_code=failure.reason.status,
            error_code=failure.reason.code,
            error_field=failure.reason.field,
        ),
        "events": issue.events,
        "first_failed_at": moment(issue.first_at),
        "last_failed_at": moment(issue.last_at),
        "last_event": listed_event_object(issue.last_event),
        **present(redelivery=redelivery and selection_object(redelivery)),
    }
