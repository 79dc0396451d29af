"""Issues: why events failed, and the way to deliver them again."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.responses import Response

from delivery.selection import Selection
from eventlog.issues import Issue
from starter.console.event_filter import RANGES, EventFilter
from starter.console.route import InWorkspace, console_router
from starter.issue_objects import WorkspaceIssues, workspace_issues

router = console_router()

DEFAULT_RANGE = "7d"


@router.get("/w/{workspace_id}/issues")
async def show_issues(visit: InWorkspace) -> Response:
    asked, now = visit.query.get("range", ""), datetime.now(UTC)
    chosen = asked if asked in RANGES else DEFAULT_RANGE
    start, end = EventFilter(range=chosen, zone=visit.zone).bounds(now)
    read = await workspace_issues(
        visit.parts.client,
        visit.catalog,
        visit.organization,
        visit.workspace.id,
        accepted_from=start,
        accepted_to=end,
    )
    return await visit.page(
        "issues.html",
        read=read,
        range=chosen,
        ranges={name: label for name, (_, _, label) in RANGES.items()},
        redelivery_address=lambda issue: _redelivery_address(read, issue),
        events_address=lambda issue: _address(read.selection, issue, status="failed"),
    )


def _redelivery_address(read: WorkspaceIssues, issue: Issue) -> str | None:
    """Return the query string that plans to deliver the issue's events again."""
    if read.redelivery(issue) is None:
        return None
    return _address(read.selection, issue, mode="failed", plan="1")


def _address(selection: Selection, issue: Issue, **more: str) -> str:
    bounds = {
        "from": selection.accepted_from.isoformat(),
        "to": selection.accepted_to.isoformat(),
        "as_of": selection.as_of.isoformat(),
    }
    only = {"connection": issue.failure.connection, "reason": issue.failure.reason.key}
    return urlencode(bounds | only | more)
