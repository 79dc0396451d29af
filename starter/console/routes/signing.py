"""Sign in with a machine key, and sign out."""

from __future__ import annotations

import hmac

from starlette.responses import RedirectResponse, Response

from catalog.api_key_lookup import MachineCaller
from catalog.api_keys import ACCESS_KEY
from catalog.errors import NotFound
from starter.api.errors import not_found
from starter.console.development import DevelopmentKey
from starter.console.route import (
    Visited,
    console_router,
    public_router,
)
from starter.console.session import TOKEN_FIELD, local_path
from starter.console.visit import Visit

router = public_router()
within = console_router()

LONGEST_SECRET = 200


@router.get("/sign-in")
async def show_sign_in(visit: Visited) -> Response:
    ended = visit.query.get("ended") == "1"
    return _sign_in_page(visit, next=visit.query.get("next"), ended=ended)


@router.post("/sign-in")
async def sign_in(visit: Visited) -> Response:
    form = visit.form
    next_page = form.text("next")
    if not visit.sessions.right_form_token(visit.request, form.get(TOKEN_FIELD, "")):
        error = "This page was open too long, or the browser blocks cookies. Try again."
        return _sign_in_page(visit, next=next_page, error=error, status=403)
    access_key = form.text("access_key")
    known = await _known(visit, access_key, form.text("secret_key"))
    if known is None:
        # Both are counted; a right secret is let in whatever others have tried.
        failed = visit.console.failed_sign_ins.failed
        client = visit.request.client
        waits = [failed(client.host if client else ""), failed(f"key {access_key}")]
        error = "Wrong access key or secret."
        if max(waits) > 0:
            error = "Too many failed attempts. Wait a minute, then try again."
        status = 429 if max(waits) > 0 else 401
        return _sign_in_page(
            visit, next=next_page, error=error, access_key=access_key, status=status
        )
    return _started(visit, known, access_key, local_path(next_page))


@router.get("/sign-in/development/{token}")
async def sign_in_by_link(visit: Visited, token: str) -> Response:
    """Sign in by the link that `emitonce dev` prints. It works once, since it stays in the
    terminal, in the browser's history and maybe in a log."""
    console = visit.console
    development: DevelopmentKey | None = console.development
    if development is None or not hmac.compare_digest(
        development.link_token.encode(), token.encode()
    ):
        raise not_found("token", "page; the link of `emitonce dev` changes each time it starts")
    if console.development_link_used:
        # The browser that has used it is signed in; others are asked for the key.
        return RedirectResponse("/", status_code=303)
    console.development_link_used = True
    known = await visit.catalog.api_key_lookup.machine(development.access_key)
    return _started(visit, known, development.access_key, "/")


@within.post("/sign-out")
async def sign_out(visit: Visited) -> Response:
    response = RedirectResponse("/sign-in", status_code=303)
    visit.sessions.end(response)
    return response


router.include_router(within)


async def _known(visit: Visit, access_key: str, secret_key: str) -> MachineCaller | None:
    if not ACCESS_KEY.fullmatch(access_key) or not 0 < len(secret_key) <= LONGEST_SECRET:
        return None
    try:
        known = await visit.catalog.api_key_lookup.machine(access_key)
    except NotFound:
        return None
    right = hmac.compare_digest(known.secret_key.get_secret_value().encode(), secret_key.encode())
    return known if right else None


def _started(visit: Visit, known: MachineCaller, access_key: str, path: str) -> Response:
    response = RedirectResponse(path, status_code=303)
    response.headers["Cache-Control"] = "no-store"
    visit.sessions.begin(visit.request, response, known, access_key)
    return response


def _sign_in_page(
    visit: Visit,
    *,
    next: str | None,
    error: str | None = None,
    access_key: str = "",
    ended: bool = False,
    status: int = 200,
) -> Response:
    # The cookie's token has to stand in the page, so the page is rendered with it at hand.
    carrier = Response()
    token = visit.sessions.begin_form(visit.request, carrier)
    page = visit.part(
        "sign_in.html",
        status=status,
        token=token,
        next=next or "",
        error=error,
        access_key=access_key,
        ended=ended,
        development=visit.console.development is not None,
        workspaces=(),
    )
    page.raw_headers.extend(header for header in carrier.raw_headers if header[0] == b"set-cookie")
    return page
