"""Failed events, grouped by connection and reason."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query

from starter.api.describing import errors
from starter.api.queries import FilterMoment, read_filter_moment
from starter.api.routing import ApiDependencies, Organization, OwnWorkspace, management_router
from starter.api.schemas.issues import IssueList
from starter.issue_objects import issues_object, workspace_issues

router = management_router("Issues")


@router.get(
    "/workspaces/{workspace_id}/issues",
    response_model=IssueList,
    summary="Group a workspace's failed events by connection and reason",
    responses=errors(400, 404),
)
async def list_issues(
    parts: ApiDependencies,
    organization: Organization,
    own: OwnWorkspace,
    accepted_from: Annotated[
        FilterMoment,
        Query(alias="from", description="Accepted then or later; default: seven days ago."),
    ] = None,
    accepted_to: Annotated[
        FilterMoment, Query(alias="to", description="Accepted before then; default: now.")
    ] = None,
) -> Any:
    """Test events are left out, and so is what was redelivered since and hasn't failed again."""
    found = await workspace_issues(
        parts.client,
        parts.catalog,
        organization,
        own,
        accepted_from=read_filter_moment("from", accepted_from),
        accepted_to=read_filter_moment("to", accepted_to),
    )
    return issues_object(found)
