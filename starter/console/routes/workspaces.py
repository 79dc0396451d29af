"""The first page, and the workspaces to choose from."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from catalog.errors import Conflict, InvalidValue
from starter.console.route import (
    InWorkspace,
    console_router,
    dependencies_of,
    form_of,
    pages_of,
    see_other,
    session_of,
)

router = console_router()


@router.get("/")
async def first_page(request: Request) -> Response:
    """On to the only workspace; with several, or none, to their list."""
    organisation = session_of(request).organisation
    found = await dependencies_of(request).catalog.workspaces.list(organisation, limit=2)
    if len(found.records) == 1:
        return see_other(f"/w/{found.records[0].id}")
    return see_other("/workspaces")


@router.get("/workspaces")
async def list_workspaces(request: Request) -> Response:
    return await _page(request)


@router.post("/workspaces")
async def create_workspace(request: Request) -> Response:
    form, session = form_of(request), session_of(request)
    name = form.text("name")
    try:
        made = await dependencies_of(request).catalog.workspaces.create(
            session.organisation, name=name, created_by=session.key
        )
    except InvalidValue as err:
        return await _page(request, name=name, error=f"The name {err.problem}.", status=400)
    except Conflict:
        error = "There is a workspace of this name already. Choose another name."
        return await _page(request, name=name, error=error, status=409)
    return see_other(f"/w/{made.id}/connections", "workspace")


@router.get("/w/{workspace_id}")
async def open_workspace(request: Request, workspace: InWorkspace) -> Response:
    """On to its events; without any connection yet, to where the first one is made."""
    found = await dependencies_of(request).catalog.connections.list(
        session_of(request).organisation, workspace=workspace.id, limit=1
    )
    where = "events" if found.records else "connections"
    return RedirectResponse(f"/w/{workspace.id}/{where}", status_code=303)


async def _page(
    request: Request, *, name: str = "", error: str | None = None, status: int = 200
) -> Response:
    found = await dependencies_of(request).catalog.workspaces.list(
        session_of(request).organisation, cursor=request.query_params.get("cursor")
    )
    return await pages_of(request).page(
        request,
        "workspaces.html",
        status=status,
        records=found.records,
        next_cursor=found.next_cursor,
        name=name,
        error=error,
    )
