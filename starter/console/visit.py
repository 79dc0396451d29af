"""One request for a page, with what the page works with."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from catalog import Catalog
from catalog.console_sessions import ConsoleSession
from catalog.embed_sessions import PAGES, EmbedSession
from catalog.scopes import role_of
from catalog.workspaces import Workspace
from eventlog.query import EventQuery
from starter.api.auth import Caller
from starter.api.dependencies import Dependencies
from starter.api.embedding import within
from starter.console import words
from starter.console.forms import Form
from starter.console.json_view import JsonView
from starter.console.session import NAME_COOKIE, Cookies
from starter.console.single_sign_on import LONGEST_NAME
from starter.console.zone import ZONE, zone_of

IN_SWITCHER = 20
BANNER = "/banner"  # requested by every page, even while someone fills in its form

# No inline script or style, nothing from elsewhere, and in nobody's frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Visit:
    """`session` and `form` are set before a handler runs, `workspace` if the address names one.

    `query` is the address's. `in_place` says that only a part of the page is requested, to replace
    it there. `embedded` says that a page in another product's frame made the request, with a token
    in place of a cookie.
    """

    session: ConsoleSession
    form: Form
    workspace: Workspace
    # The id that the session has from now on, if it was renewed.
    renewed: str | None = None

    def __init__(self, request: Request) -> None:
        self.request = request
        self.query = request.query_params
        self.in_place = request.headers.get("hx-request") == "true" and not (
            request.headers.get("hx-boosted") or request.headers.get("hx-history-restore-request")
        )
        self.embedded = "authorization" in request.headers
        self.zone = zone_of(request)
        self.console = request.app.state.console
        self.cookies: Cookies = self.console.cookies
        self.parts: Dependencies = request.app.state.parts
        self.catalog: Catalog = self.parts.catalog

    @property
    def may(self) -> frozenset[str]:
        """The scopes of whoever has signed in."""
        return self.session.scopes if hasattr(self, "session") else frozenset()

    @property
    def must_prove(self) -> bool:
        """Whether someone has to sign in again, or enter the secret, before they change keys.

        `emitonce dev` shows nobody its key's secret.
        """
        development = self.console.development
        own = development is not None and development.access_key == self.session.access_key
        return not (self.session.fresh or own)

    @property
    def who(self) -> str:
        """The name of whoever has signed in: their key's, or their own, which only they see."""
        if self.session.key_name is not None:
            return self.session.key_name
        name = next(iter(self.cookies.kept(self.request, NAME_COOKIE)), None)
        return name[:LONGEST_NAME] if name and isinstance(name, str) else "Signed in"

    @property
    def organization(self) -> str:
        return self.session.organization

    @property
    def caller(self) -> Caller:
        caller: Caller = self.request.state.caller
        return caller

    @property
    def embed(self) -> EmbedSession | None:
        """The embedded session; None if someone has signed in."""
        caller = getattr(self.request.state, "caller", None)
        return caller.session if caller else None

    def within(self, query: EventQuery) -> EventQuery:
        """Narrow what is listed to what the session may see."""
        return within(self.embed, query, self.parts.instance_secret)

    async def page(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """Render a whole page within the session."""
        if self.embedded:
            return self.part(template, status=status, **context)
        found = await self.catalog.workspaces.list(self.organization, limit=IN_SWITCHER)
        return self.part(template, status=status, workspaces=found.records, **context)

    def go_to(self, path: str, done: str) -> Response:
        """Leave for a page that says what was done, also from a form that is sent in place."""
        path = f"{path}?done={done}"
        if self.in_place:
            to = {"HX-Location": _in_frame(path)} if self.embedded else {"HX-Redirect": path}
            return Response(status_code=204, headers=to)
        return RedirectResponse(path, status_code=303)

    def part(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """Render a part of a page; or a page without the switcher of workspaces."""
        known = {
            "session": getattr(self, "session", None),
            "who": self.who if hasattr(self, "session") else "",
            "role": role_of(self.may),
            "scopes_in_words": words.SCOPES_IN_WORDS,
            "workspace": getattr(self, "workspace", None),
            "workspaces": (),
            "may": self.may,
            "embed": self.embed,
            "embedded": self.embedded,
            "embed_pages": PAGES,
            "done": words.DONE.get(self.query.get("done", "")),
            "path": self.request.url.path,
            "asked_for": self.request.method == "GET",
            "in_place": self.in_place,
            "json_view": JsonView(),
        }
        set_zone = ZONE.set(self.zone)
        try:
            text = self.console.templates.get_template(template).render(known | context)
        finally:
            ZONE.reset(set_zone)
        return HTMLResponse(text, status_code=status, headers=HEADERS)


def _in_frame(path: str) -> str:
    """Have the embedded page fetch another: a frame that leaves its document has no token."""
    swap = {"target": "#page", "swap": "outerHTML show:none", "headers": {"HX-Boosted": "true"}}
    return json.dumps({"path": path, **swap})
