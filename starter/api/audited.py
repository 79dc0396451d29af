"""Record requests that change or steer something: before they are handled, and how they ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.responses import Response

from catalog import Catalog
from catalog.audit import DONE, Act, Audit
from catalog.errors import CatalogUnavailable
from catalog.scopes import MANAGE, OPERATE
from catalog.values import read_id
from starter.api.auth import Caller
from starter.api.errors import as_api_error, unavailable
from starter.api.middleware import logged_error

FORGET_SECONDS = 3_600.0

Handler = Callable[[Request], Awaitable[Response]]


def is_audited(request: Request, scope: str) -> bool:
    return request.method != "GET" and scope in (OPERATE, MANAGE)


async def audited(request: Request, via: str, name: str, handle: Handler) -> Response:
    """Handle a request whose caller is known, and record it.

    The outcome has the ids of what the request made, which the route leaves in `state.said`.
    """
    catalog: Catalog = request.app.state.parts.catalog
    caller: Caller = request.state.caller
    act = Act(
        via=via,
        actor=caller.key,
        name=name,
        organisation=caller.organisation,
        address=request.client.host if request.client else None,
        ids={one: id for one, id in request.path_params.items() if read_id(id) is not None},
    )
    try:
        entry = await catalog.audit.start(act)
    except Exception as err:  # full, read-only, or whatever it was
        logged_error(err, request.scope)
        raise unavailable("it can't be recorded in the audit now, so it was not done") from None
    try:
        response = await handle(request)
    except Exception as err:
        answer = as_api_error(err)
        await _end(catalog, entry, str(answer.status if answer else 500), request)
        raise
    refused = response.status_code >= 400
    await _end(catalog, entry, str(response.status_code) if refused else DONE, request)
    return response


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
        while True:
            with contextlib.suppress(CatalogUnavailable):
                await audit.forget(days)
            await asyncio.sleep(FORGET_SECONDS)

    task = asyncio.create_task(forget(), name="audit")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
