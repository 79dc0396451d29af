"""Templates, and what a page's headers have beside those of every answer."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from catalog import Catalog
from catalog.workspaces import Workspace
from starter.api.errors import ApiError, phrase_of
from starter.console import words
from starter.console.json_view import JsonView
from starter.console.session import Session

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
ASSETS = {
    "console.css": "text/css; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "mark.svg": "image/svg+xml",
}
IN_SWITCHER = 20

# No inline script or style, nothing from elsewhere, and in nobody's frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Pages:
    """Renders. Whatever a template is given is escaped."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.assets = {name: (STATIC / name).read_bytes() for name in ASSETS}
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= words.FILTERS
        self._environment.globals |= {
            "asset": {
                name: f"/assets/{hashlib.sha256(data).hexdigest()[:12]}/{name}"
                for name, data in self.assets.items()
            }
        }

    async def page(
        self, request: Request, template: str, *, status: int = 200, **context: Any
    ) -> Response:
        """A whole page within the session."""
        session: Session | None = getattr(request.state, "session", None)
        others: tuple[Workspace, ...] = ()
        if session is not None:
            found = await self._catalog.workspaces.list(session.organisation, limit=IN_SWITCHER)
            others = found.records
        return self.part(request, template, status=status, workspaces=others, **context)

    def part(
        self, request: Request, template: str, *, status: int = 200, **context: Any
    ) -> Response:
        """A part of a page, to be put into it."""
        known = {
            "session": getattr(request.state, "session", None),
            "workspace": getattr(request.state, "workspace", None),
            "done": words.DONE.get(request.query_params.get("done", "")),
            "path": request.url.path,
            "json_view": JsonView(),
        }
        text = self._environment.get_template(template).render(known | context)
        return HTMLResponse(text, status_code=status, headers=HEADERS)

    def error(self, request: Request, error: ApiError) -> Response:
        """Asks nobody for anything: the database may be what is unavailable."""
        in_place = request.headers.get("hx-request") == "true"
        response = self.part(
            request,
            "error_part.html" if in_place else "error.html",
            status=error.status,
            workspaces=(),
            error_status=error.status,
            title=_TITLES.get(error.status, phrase_of(error.status)),
            message=words.sentence(error.message),
            again=_again(request, error),
            request_id=request.state.request_id,
        )
        response.headers.update(error.headers)
        return response


_TITLES = {
    400: "That can't be right",
    401: "Your session has ended",
    403: "Not sent from here",
    404: "Not found",
    405: "Not found",
    409: "Not possible now",
    413: "Too large",
    425: "An attempt is under way",
    500: "Something went wrong here",
    503: "Not reachable now",
}


def _again(request: Request, error: ApiError) -> str | None:
    """The page to try again; None where trying again gives the same."""
    if request.method != "GET" or error.status < 500:
        return None
    query = f"?{request.url.query}" if request.url.query else ""
    return request.url.path + query
