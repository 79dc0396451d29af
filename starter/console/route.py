"""Every page's way in and out: who asks, whether the form is ours, and errors as pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from catalog.errors import NotFound
from catalog.workspaces import Workspace
from operations.bulk_redelivery import RedeliveryNotFound
from starter.api.auth import Caller
from starter.api.dependencies import Dependencies
from starter.api.errors import ApiError, as_api_error
from starter.api.middleware import logged_error
from starter.console.forms import Form, read_form
from starter.console.pages import Pages
from starter.console.session import TOKEN_FIELD, NoSession, Session, Sessions

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

# A page that takes longer is given up; a test event may take 30 seconds.
PAGE_SECONDS = 45.0

# Of a form that anybody may send: two fields and a token.
LARGEST_PUBLIC_FORM = 8 * 1024


class PublicRoute(APIRoute):
    """Needs nobody signed in."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                if request.method == "POST" and not sessions_of(request).from_here(request):
                    raise _foreign_form()
                async with asyncio.timeout(PAGE_SECONDS):
                    await self.let_in(request)
                    return await handle(request)
            except ClientDisconnect:
                raise
            except Exception as err:
                return error_page(request, err)

        return handled

    async def let_in(self, request: Request) -> None:
        """Read who asks and the form, or raise what makes the error page."""
        if request.method == "POST":
            request.state.form = await read_form(request, LARGEST_PUBLIC_FORM)


class ConsoleRoute(PublicRoute):
    """Needs a session, and with a form the session's own token."""

    async def let_in(self, request: Request) -> None:
        session = await _session(request)
        request.state.session = session
        request.state.caller = Caller(session.key, organisation=session.organisation)
        if request.method == "POST":
            request.state.form = await read_form(request)
            given = form_of(request).raw(TOKEN_FIELD)
            if not sessions_of(request).right_token(session, given):
                raise _foreign_form()


def console_router() -> APIRouter:
    return APIRouter(route_class=ConsoleRoute, include_in_schema=False)


def public_router() -> APIRouter:
    return APIRouter(route_class=PublicRoute, include_in_schema=False)


def dependencies_of(request: Request) -> Dependencies:
    found: Dependencies = request.app.state.parts
    return found


def pages_of(request: Request) -> Pages:
    found: Pages = request.app.state.console.pages
    return found


def sessions_of(request: Request) -> Sessions:
    found: Sessions = request.app.state.console.sessions
    return found


def session_of(request: Request) -> Session:
    found: Session = request.state.session
    return found


def form_of(request: Request) -> Form:
    found: Form = request.state.form
    return found


def in_place(request: Request) -> bool:
    """Whether a part of a page is asked for, to be put into it."""
    return request.headers.get("hx-request") == "true"


async def workspace_of(request: Request, workspace_id: str) -> Workspace:
    """Raises `NotFound` when it isn't the session's organization's."""
    catalog = dependencies_of(request).catalog
    workspace = await catalog.workspaces.get(session_of(request).organisation, workspace_id)
    request.state.workspace = workspace
    return workspace


# The workspace that a page's address names.
InWorkspace = Annotated[Workspace, Depends(workspace_of)]


def see_other(path: str, done: str | None = None) -> RedirectResponse:
    """After a form: on to a page, which says in words what was done."""
    return RedirectResponse(f"{path}?done={done}" if done else path, status_code=303)


async def _session(request: Request) -> Session:
    session = sessions_of(request).read(request)
    try:
        known = await dependencies_of(request).catalog.api_key_lookup.machine(session.access_key)
    except NotFound:
        raise NoSession(ended=True) from None
    if (known.key, known.organisation) != (session.key, session.organisation):
        raise NoSession(ended=True)
    dependencies_of(request).catalog.api_key_lookup.uses.note(known.key)
    return session


def _foreign_form() -> ApiError:
    return ApiError(
        403,
        "this form was not sent from a page of this console, or from one that is out of date: "
        "go back, reload the page and send it again",
    )


def error_page(request: Request, error: Exception) -> Response:
    """What went wrong, in words, and a way back."""
    if isinstance(error, NoSession):
        return _to_sign_in(request, error)
    return pages_of(request).error(request, _answer(error, request))


def _answer(error: Exception, request: Request) -> ApiError:
    if isinstance(error, TimeoutError):
        return ApiError(503, "Temporal or the database did not answer in time: try again")
    if isinstance(error, RedeliveryNotFound):
        return ApiError(404, str(error))
    return as_api_error(error) or logged_error(error, request.scope)


def _to_sign_in(request: Request, error: NoSession) -> Response:
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if in_place(request):
        return Response(status_code=401, headers={"HX-Refresh": "true"})
    if request.method == "POST":
        return pages_of(request).error(
            request,
            ApiError(401, "your session has ended, so nothing was done: sign in and repeat it"),
        )
    ended = "&ended=1" if error.ended else ""
    return RedirectResponse(f"/sign-in?next={quote(here, safe='')}{ended}", status_code=303)
