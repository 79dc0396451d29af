"""The start page, and the list of workspaces."""

from __future__ import annotations

from starlette.responses import Response

from catalog.errors import Conflict, InvalidValue
from starter.console.route import (
    InWorkspace,
    Visited,
    console_router,
    see_other,
)
from starter.console.visit import Visit

router = console_router()


@router.get("/")
async def first_page(visit: Visited) -> Response:
    """Go to the only workspace; with several, or none, to their list."""
    organization = visit.organization
    found = await visit.catalog.workspaces.list(organization, limit=2)
    if len(found.records) == 1:
        return see_other(f"/w/{found.records[0].id}")
    return see_other("/workspaces")


@router.get("/workspaces")
async def list_workspaces(visit: Visited) -> Response:
    return await _page(visit)


@router.post("/workspaces")
async def create_workspace(visit: Visited) -> Response:
    form, session = visit.form, visit.session
    name = form.text("name")
    try:
        made = await visit.catalog.workspaces.create(
            session.organization, name=name, created_by=session.actor
        )
    except InvalidValue as err:
        return await _page(visit, name=name, error=f"The name {err.problem}.", status=400)
    except Conflict:
        error = "There is a workspace of this name already. Choose another name."
        return await _page(visit, name=name, error=error, status=409)
    visit.request.state.said = {"workspace_id": made.id}
    return see_other(f"/w/{made.id}/connections", "workspace")


@router.get("/w/{workspace_id}")
async def open_workspace(visit: InWorkspace) -> Response:
    """Go to its events; without a connection, to where the first one is created."""
    found = await visit.catalog.connections.list(
        visit.organization, workspace=visit.workspace.id, limit=1
    )
    where = "events" if found.records else "connections"
    return see_other(f"/w/{visit.workspace.id}/{where}")


async def _page(
    visit: Visit, *, name: str = "", error: str | None = None, status: int = 200
) -> Response:
    found = await visit.catalog.workspaces.list(
        visit.organization, cursor=visit.query.get("cursor")
    )
    return await visit.page(
        "workspaces.html",
        status=status,
        records=found.records,
        next_cursor=found.next_cursor,
        name=name,
        error=error,
    )
