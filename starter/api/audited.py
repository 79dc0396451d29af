"""Handle a request if its caller may do so; what changes or steers something is recorded."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from catalog import Catalog
from catalog.audit import DONE, Act, Audit
from catalog.errors import CatalogUnavailable
from catalog.scopes import MANAGE, OPERATE
from catalog.values import read_id
from operations.background import repeated
from starter.api.auth import Caller
from starter.api.embedding import require_reach
from starter.api.errors import as_api_error, too_much_refused, unavailable
from starter.api.failed_attempts import FailedAttempts
from starter.api.middleware import logged_error

FORGET_SECONDS = 3_600.0

# How many refused acts of one key are recorded a minute. Beyond that, acts that it lacks the scope
# for are refused without an entry, and for everything else it has to wait. Old entries are deleted
# faster than that.
REFUSED_ACTS = 120

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Right:
    """What a route asks of its caller: a scope, and of embedded sessions one of these types."""

    scope: str
    sessions: frozenset[str] = frozenset()


async def handle_for_caller(
    request: Request, via: str, name: str, right: Right, handle: Handler
) -> Response:
    """Handle a request whose caller is known. An act is recorded before, its outcome afterwards.

    The outcome has the ids of what the request made, which the route leaves in `state.said`.

    Raises:
        ApiError: 403 if the caller may not; 404 for what isn't the caller's; 429 if too much was
            refused it in the last minute; 503 if the act can't be recorded.
    """
    catalog: Catalog = request.app.state.parts.catalog
    caller: Caller = request.state.caller
    if request.method == "GET" or right.scope not in (OPERATE, MANAGE):
        await _require(request, caller, right)
        return await handle(request)
    refused: FailedAttempts = request.app.state.refused_acts
    wait = refused.wait(caller.key)
    if wait > 0:
        await _require(request, caller, right)
        raise too_much_refused(wait)
    act = Act(
        via=via,
        actor=caller.key,
        name=name,
        organization=caller.organization,
        address=request.client.host if request.client else None,
        ids={one: id for one, id in request.path_params.items() if read_id(id) is not None},
    )
    entry = await start_act(catalog, act, request)
    try:
        await _require(request, caller, right)
        response = await handle(request)
    except Exception as err:
        answer = as_api_error(err)
        refused.failed(caller.key)
        await _end(catalog, entry, str(answer.status if answer else 500), request)
        raise
    outcome = DONE
    if response.status_code >= 400:
        refused.failed(caller.key)
        outcome = str(response.status_code)
    await _end(catalog, entry, outcome, request)
    return response


async def start_act(catalog: Catalog, act: Act, request: Request) -> str:
    """Record what is about to be done; returns the entry's id. Raises `ApiError` 503."""
    try:
        return await catalog.audit.start(act)
    except Exception as err:  # full, read-only, or whatever it was
        logged_error(err, request.scope)
        raise unavailable("it can't be recorded in the audit now, so it was not done") from None


async def _require(request: Request, caller: Caller, right: Right) -> None:
    caller.require(right.scope)
    if caller.session is not None:
        await require_reach(request, caller.session, right.sessions)


async def _end(catalog: Catalog, entry: str, outcome: str, request: Request) -> None:
    """Record the outcome. If that fails, the answer stays as it is, since the act was done."""
    said = getattr(request.state, "said", {})
    made = {name: id for name, id in said.items() if isinstance(id, str)}
    with contextlib.suppress(CatalogUnavailable):
        await catalog.audit.end(entry, outcome, made)


@asynccontextmanager
async def forgetting(audit: Audit, days: int) -> AsyncIterator[None]:
    """Delete, once an hour, what is older than `days`."""

    async def forget() -> None:
        await audit.forget(days)

    failing = "the audit was not shortened"
    async with repeated(forget, every_seconds=FORGET_SECONDS, name="audit", failing=failing):
        yield
