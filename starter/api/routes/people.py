"""Hand out or erase what is kept about a person."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi import Request

from catalog.scopes import MANAGE, PAYLOAD
from emitonce.ids import person_hash
from operations.erasure import NotErased
from operations.person_events import erase_person as erase_in_engine
from operations.person_events import person_page
from starter.api.bodies import read_model
from starter.api.describing import body_of, errors
from starter.api.errors import ApiError
from starter.api.queries import DEFAULT_LIMIT, Cursor, Limit
from starter.api.routing import (
    ApiDependencies,
    Organization,
    OwnWorkspace,
    caller_of,
    management_router,
    needs,
)
from starter.api.schemas.people import PersonErased, PersonInput, PersonPage
from starter.json_objects import event_detail_object, page_object, present
from starter.remains import person_remains

router = management_router("People")

# Each reads and deletes for half a minute or longer, and a caller who gives up asks again.
MOST_ERASING = 4  # at once, for one organization, in this process
ERASE_SECONDS = 300.0


@router.post(
    "/workspaces/{workspace_id}/people/export",
    response_model=PersonPage,
    summary="Hand out every event about a person, with all attempts",
    responses=errors(400, 404, 413),
    openapi_extra=body_of(PersonInput),
)
@needs(PAYLOAD)
async def export_person(
    request: Request,
    parts: ApiDependencies,
    own: OwnWorkspace,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    """Newest first, test events too. Send the same body with `next_cursor` until it is null."""
    given = await read_model(request, PersonInput)
    logs, following = await person_page(
        parts.client,
        own,
        _hashes(given.identifiers, own, parts.instance_secret),
        mentioned=given.identifiers if given.scan else (),
        limit=limit,
        cursor=cursor,
    )
    return page_object([event_detail_object(log) for log in logs], limit, following)


@router.post(
    "/workspaces/{workspace_id}/people/erase",
    response_model=PersonErased,
    summary="Erase every event about a person",
    responses=errors(400, 404, 413),
    openapi_extra=body_of(PersonInput),
)
@needs(MANAGE)
async def erase_person(
    request: Request,
    parts: ApiDependencies,
    organization: Organization,
    own: OwnWorkspace,
) -> Any:
    """Open deliveries are canceled first. It takes half a minute or longer; a caller that gives up
    or is answered 503 asks again. Needs the scope `payload`, too.
    """
    caller_of(request).require(PAYLOAD)  # the answer says which events are about the person
    given = await read_model(request, PersonInput)
    events: set[str] = set()
    connections: set[str] = set()
    with _one_of_few(request.app.state.erasing, organization):
        try:
            async with asyncio.timeout(ERASE_SECONDS):
                await erase_in_engine(
                    parts.client,
                    own,
                    _hashes(given.identifiers, own, parts.instance_secret),
                    mentioned=given.identifiers if given.scan else (),
                    erased=events,
                    connections=connections,
                )
        except NotErased as err:
            raise ApiError(503, str(err)) from None
        except TimeoutError:
            raise ApiError(503, _TOO_LONG) from None
    left = await person_remains(parts.catalog, organization, sorted(connections))
    return {"erased": sorted(events), "remains": [present(**one) for one in left]}


_TOO_LONG = (
    f"not everything could be erased within {ERASE_SECONDS:.0f} seconds: send it again; if this "
    "repeats, use `emitonce people erase --scan`, which has no time limit"
)


@contextmanager
def _one_of_few(erasing: Counter[str], organization: str) -> Iterator[None]:
    if erasing[organization] >= MOST_ERASING:
        msg = f"{MOST_ERASING} other erasures are still running: try again when they are done"
        raise ApiError(503, msg, headers={"Retry-After": "30"})
    erasing[organization] += 1
    try:
        yield
    finally:
        erasing[organization] -= 1


def _hashes(identifiers: Sequence[str], workspace: str, secret: bytes) -> list[str]:
    return [person_hash(secret, workspace, one) for one in identifiers]
