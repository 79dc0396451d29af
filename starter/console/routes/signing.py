"""Signing in with a machine key, and out."""

from __future__ import annotations

import hmac

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from catalog.api_key_lookup import MachineCaller
from catalog.api_keys import ACCESS_KEY
from catalog.errors import NotFound
from starter.api.errors import not_found
from starter.console.development import DevelopmentKey
from starter.console.route import (
    console_router,
    dependencies_of,
    form_of,
    pages_of,
    public_router,
    sessions_of,
)
from starter.console.session import TOKEN_FIELD, local_path

router = public_router()
within = console_router()

LONGEST_SECRET = 200


@router.get("/sign-in")
async def show_sign_in(request: Request) -> Response:
    ended = request.query_params.get("ended") == "1"
    return _sign_in_page(request, next=request.query_params.get("next"), ended=ended)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    form = form_of(request)
    next_page = form.text("next")
    if not sessions_of(request).right_form_token(request, form.raw(TOKEN_FIELD)):
        error = "This page was open for long, or the browser keeps no cookies. Try it once more."
        return _sign_in_page(request, next=next_page, error=error, status=403)
    access_key = form.text("access_key")
    known = await _known(request, access_key, form.text("secret_key"))
    if known is None:
        # Both are counted; a right secret is let in whatever others have tried.
        failed = request.app.state.console.failed_sign_ins.failed
        waits = [failed(_address(request)), failed(f"key {access_key}")]
        error = "There is no such key, or the secret is not the one that belongs to it."
        if max(waits) > 0:
            error = "Too many failed attempts. Wait a minute, then try again."
        status = 429 if max(waits) > 0 else 401
        return _sign_in_page(
            request, next=next_page, error=error, access_key=access_key, status=status
        )
    return _begun(request, known, access_key, local_path(next_page))


@router.get("/sign-in/development/{token}")
async def sign_in_by_link(request: Request, token: str) -> Response:
    """Opened from the terminal that runs `emitonce dev`: once, since it stays there, in the
    browser's history and maybe in a log."""
    console = request.app.state.console
    development: DevelopmentKey | None = console.development
    if development is None or not hmac.compare_digest(
        development.link_token.encode(), token.encode()
    ):
        raise not_found("token", "page; the link of `emitonce dev` changes each time it starts")
    if console.development_link_used:
        # The browser that has used it is signed in; others are asked for the key.
        return RedirectResponse("/", status_code=303)
    console.development_link_used = True
    known = await dependencies_of(request).catalog.api_key_lookup.machine(development.access_key)
    return _begun(request, known, development.access_key, "/")


@within.post("/sign-out")
async def sign_out(request: Request) -> Response:
    response = RedirectResponse("/sign-in", status_code=303)
    sessions_of(request).end(response)
    return response


router.include_router(within)


async def _known(request: Request, access_key: str, secret_key: str) -> MachineCaller | None:
    if not ACCESS_KEY.fullmatch(access_key) or not 0 < len(secret_key) <= LONGEST_SECRET:
        return None
    try:
        known = await dependencies_of(request).catalog.api_key_lookup.machine(access_key)
    except NotFound:
        return None
    right = hmac.compare_digest(known.secret_key.get_secret_value().encode(), secret_key.encode())
    return known if right else None


def _begun(request: Request, known: MachineCaller, access_key: str, path: str) -> Response:
    response = RedirectResponse(path, status_code=303)
    response.headers["Cache-Control"] = "no-store"
    sessions_of(request).begin(request, response, known, access_key)
    return response


def _sign_in_page(
    request: Request,
    *,
    next: str | None,
    error: str | None = None,
    access_key: str = "",
    ended: bool = False,
    status: int = 200,
) -> Response:
    # The cookie's token has to stand in the page, so the page is rendered with it at hand.
    carrier = Response()
    token = sessions_of(request).begin_form(request, carrier)
    page = pages_of(request).part(
        request,
        "sign_in.html",
        status=status,
        token=token,
        next=next or "",
        error=error,
        access_key=access_key,
        ended=ended,
        development=request.app.state.console.development is not None,
        workspaces=(),
    )
    page.raw_headers.extend(header for header in carrier.raw_headers if header[0] == b"set-cookie")
    return page


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
