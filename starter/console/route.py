"""Check who asks and whether the form is ours, and show errors as pages, on every route."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from catalog.console_sessions import ConsoleSession
from starter.api.audited import handle_for_caller
from starter.api.auth import Caller
from starter.api.errors import ApiError, unauthorized
from starter.api.routing import authentication, right_of
from starter.console.errors import error_page
from starter.console.forms import read_form
from starter.console.session import TOKEN_FIELD, NoSession, right_token
from starter.console.visit import Visit

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

# A page that takes longer is given up; a test event may take 30 seconds.
PAGE_SECONDS = 45.0

# In bytes, of a form that anyone may send: it has two fields and a token.
LARGEST_PUBLIC_FORM = 8 * 1024


class PublicRoute(APIRoute):
    """A route that needs nobody signed in."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            visit = request.state.visit = Visit(request)
            try:
                if request.method == "POST" and not visit.cookies.from_here(request):
                    raise _foreign_form()
                async with asyncio.timeout(PAGE_SECONDS):
                    response = await self.let_in(visit, handle)
            except ClientDisconnect:
                raise
            except Exception as err:
                response = error_page(visit, err)
            if visit.renewed is not None:
                visit.cookies.set(request, response, visit.renewed)
            return response

        return handled

    async def let_in(self, visit: Visit, handle: Handler) -> Response:
        """Read who asks and the form, then handle the request. What is raised becomes a page."""
        if visit.request.method == "POST":
            visit.form = await read_form(visit.request, LARGEST_PUBLIC_FORM)
        return await handle(visit.request)


class ConsoleRoute(PublicRoute):
    """A route that needs a session, and with a form the session's own token."""

    async def let_in(self, visit: Visit, handle: Handler) -> Response:
        session = visit.session = await (_embedded if visit.embedded else _session)(visit)
        if not visit.embedded:
            visit.request.state.caller = Caller(
                session.actor, session.scopes, session.organization, holder="your sign-in"
            )
        if visit.request.method == "POST":
            visit.form = await read_form(visit.request)
            given = visit.form.get(TOKEN_FIELD, "")
            # No foreign page can send a bearer token.
            if not visit.embedded and not right_token(session.id, given):
                raise _foreign_form()
        right = right_of(self)
        return await handle_for_caller(visit.request, "console", self.name, right, handle)


def console_router() -> APIRouter:
    return APIRouter(route_class=ConsoleRoute, include_in_schema=False)


def public_router() -> APIRouter:
    return APIRouter(route_class=PublicRoute, include_in_schema=False)


def visit_of(request: Request) -> Visit:
    found: Visit = request.state.visit
    return found


Visited = Annotated[Visit, Depends(visit_of)]


async def visit_workspace(visit: Visited, workspace_id: str) -> Visit:
    """Raises `NotFound` when the workspace isn't the session's organization's."""
    visit.workspace = await visit.catalog.workspaces.get(visit.organization, workspace_id)
    return visit


# Of a page whose address names a workspace.
InWorkspace = Annotated[Visit, Depends(visit_workspace)]


def see_other(path: str, done: str | None = None) -> RedirectResponse:
    """Redirect to a page after a form; the page says in words what was done."""
    return RedirectResponse(f"{path}?done={done}" if done else path, status_code=303)


async def _session(visit: Visit) -> ConsoleSession:
    """Read the session. What a page requests by itself, again and again, doesn't keep it alive."""
    used = not visit.in_place or visit.request.method == "POST"
    session = await visit.catalog.console_sessions.read(
        visit.cookies.read(visit.request), used=used
    )
    if session is None:
        raise NoSession(ended=True)
    if session.access_key is not None:
        visit.catalog.api_key_lookup.uses.note(session.holder)
    return session


async def _embedded(visit: Visit) -> ConsoleSession:
    """Read the session of an embedded page. Raises `ApiError` 401, also for a key's token."""
    caller = await authentication(visit.request).machine(visit.request)
    if caller.session is None:
        raise unauthorized("pages are for people: embed them with the access token of a session")
    visit.request.state.caller = caller
    return ConsoleSession(
        id="",
        holder=caller.key,
        organization=caller.session.organization,
        scopes=caller.scopes,
        fresh=False,
        access_key=caller.key,
    )


def _foreign_form() -> ApiError:
    return ApiError(
        403,
        "this form was not sent from a page of this console, or the page is out of date: "
        "go back, reload the page and send it again",
    )
