"""Sign in with a machine key, and sign out. For single sign-on see `single_sign_on`."""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Callable

from starlette.responses import RedirectResponse, Response

from catalog.api_key_lookup import MachineCaller
from catalog.api_keys import ACCESS_KEY
from catalog.audit import DONE, Act
from catalog.errors import NotFound
from catalog.scopes import READ
from starter.api.audited import start_act
from starter.api.errors import not_found
from starter.api.routing import needs
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
    return sign_in_page(visit, next=visit.query.get("next"), ended=ended)


@router.post("/sign-in")
async def sign_in(visit: Visited) -> Response:
    form = visit.form
    next_page = form.text("next")
    if not visit.cookies.right_form_token(visit.request, form.get(TOKEN_FIELD, "")):
        error = "This page was open too long, or the browser blocks cookies. Try again."
        return sign_in_page(visit, next=next_page, error=error, status=403)
    access_key = form.text("access_key")
    known = await proved_key(visit, access_key, form.text("secret_key"))
    if known is None:
        return await failed_sign_in(
            visit,
            "Wrong access key or secret key.",
            await _found(visit, access_key),
            next=next_page,
            access_key=access_key,
        )
    return await _started(visit, known, local_path(next_page))


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
    return await _started(visit, known, "/")


@within.post("/sign-out")
@needs(READ)
async def sign_out(visit: Visited) -> Response:
    response = RedirectResponse("/sign-in", status_code=303)
    await visit.catalog.console_sessions.end(visit.session.id)
    visit.cookies.delete(visit.request, response)
    return response


router.include_router(within)


async def proved_key(visit: Visit, access_key: str, secret_key: str) -> MachineCaller | None:
    """Return the key if `secret_key` is its secret; else None."""
    known = await _found(visit, access_key) if 0 < len(secret_key) <= LONGEST_SECRET else None
    return known if known is not None and known.proved_by(secret_key) else None


async def _found(visit: Visit, access_key: str) -> MachineCaller | None:
    if ACCESS_KEY.fullmatch(access_key):
        with contextlib.suppress(NotFound):
            return await visit.catalog.api_key_lookup.machine(access_key)
    return None


async def failed_sign_in(
    visit: Visit,
    error: str,
    known: MachineCaller | None = None,
    *,
    next: str,
    access_key: str = "",
) -> Response:
    """Record a failed sign-in, and show the sign-in page with the error.

    Beyond a number of failures per minute, by address, by key and in all, nothing is recorded.
    """
    status = 401
    if count_failure(visit, access_key):
        error, status = "Too many failed attempts. Wait a minute, then try again.", 429
    elif not visit.console.recorded_failures.failed("all"):
        actor = known.key if known else "nobody known"
        organization = known.organization if known else None
        await record_sign_in(visit, actor, organization, str(status))
    return sign_in_page(visit, next=next, error=error, access_key=access_key, status=status)


async def record_sign_in(
    visit: Visit, actor: str, organization: str | None, outcome: str = DONE
) -> None:
    """Raises `ApiError` 503 if it can't be recorded."""
    address = visit.request.client.host if visit.request.client else None
    act = Act("console", actor, "sign_in", organization, address)
    entry = await start_act(visit.catalog, act, visit.request)
    await visit.catalog.audit.end(entry, outcome)


def count_failure(visit: Visit, access_key: str) -> bool:
    """Count a failure, and return whether the address, or the key, has had too many of them.

    The right secret is accepted nevertheless.
    """
    failed: Callable[[str], float] = visit.console.failed_sign_ins.failed
    address = visit.request.client.host if visit.request.client else ""
    waits = [failed(address), failed(f"key {access_key}") if access_key else 0.0]
    return max(waits) > 0


async def _started(visit: Visit, known: MachineCaller, path: str) -> Response:
    response = RedirectResponse(path, status_code=303)
    response.headers["Cache-Control"] = "no-store"
    await record_sign_in(visit, known.key, known.organization)
    id = await visit.catalog.console_sessions.begin(known.key)
    visit.cookies.set(visit.request, response, id)
    return response


def sign_in_page(
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
    token = visit.cookies.begin_form(visit.request, carrier)
    page = visit.part(
        "sign_in.html",
        status=status,
        token=token,
        next=next or "",
        error=error,
        access_key=access_key,
        ended=ended,
        development=visit.console.development is not None,
        single_sign_on=visit.console.single_sign_on is not None,
        workspaces=(),
    )
    page.raw_headers.extend(header for header in carrier.raw_headers if header[0] == b"set-cookie")
    return page
