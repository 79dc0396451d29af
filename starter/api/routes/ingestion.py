"""`POST /events` and `POST /events/bulk`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, cast

from fastapi import Header, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from catalog.embed_sessions import RESOURCE, WORKSPACE
from catalog.scopes import EMIT
from delivery.event import HOPS, MAX_HOPS
from delivery.size import MOST_BESIDE, MOST_VALUES
from starter.api.accepting import MOST_EVENTS, Accepting
from starter.api.auth import Caller
from starter.api.bodies import parse_body, read_bytes
from starter.api.describing import array_of, body_of, errors
from starter.api.errors import ApiError
from starter.api.routing import caller_of, embeddable, ingestion_router, needs
from starter.api.schemas.events import BulkResult, CreatedEventBody, EventInput

router = ingestion_router("Ingestion")

Hops = Annotated[
    int,
    Header(
        alias=HOPS,
        ge=0,
        le=MAX_HOPS,
        description="How many webhooks of emitonce the event has come through. More than "
        f"{MAX_HOPS} count as a loop.",
    ),
]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$",
        description="The same key and body give the same event, for as long as events are kept.",
    ),
]


@router.post(
    "/events",
    status_code=201,
    response_model=CreatedEventBody,
    summary="Emit an event",
    responses=errors(400, 403, 404, 409, 413),
    openapi_extra=body_of(EventInput),
)
@needs(EMIT)
@embeddable(WORKSPACE, RESOURCE)
async def emit_event(
    request: Request, idempotency_key: IdempotencyKey = None, hops: Hops = 0
) -> Any:
    """Accept one event: when this is answered with 201, Temporal has stored it."""
    caller, accept = _caller(request, hops), accepting(request)
    body = await read_bytes(request, request.app.state.parts.largest_payload)
    accept.quotas.admit(caller, len(body))
    value = await parse_body(body, MOST_VALUES + MOST_BESIDE)
    created = await accept.one(value, caller, idempotency_key, len(body))
    request.state.said = {"event_id": created["id"], "workspace_id": created["workspace"]}
    return JSONResponse({"event": created}, status_code=201, headers=accept.quotas.headers(caller))


@router.post(
    "/events/bulk",
    status_code=201,
    response_model=BulkResult,
    summary="Emit up to 100 events",
    responses={
        **errors(400, 403, 409, 413),
        207: {"model": BulkResult, "description": "Some events were refused"},
    },
    openapi_extra=array_of(EventInput, most=MOST_EVENTS),
)
@needs(EMIT)
@embeddable(WORKSPACE, RESOURCE)
async def emit_events(
    request: Request, idempotency_key: IdempotencyKey = None, hops: Hops = 0
) -> Any:
    """Accept a batch, each event by itself: 201 when all were accepted, 207 otherwise."""
    caller, accept = _caller(request, hops), accepting(request)
    body = await read_bytes(request)
    accept.quotas.admit(caller, len(body))
    value = await parse_body(body)
    results = await accept.many(value, caller, idempotency_key, len(body))
    refused = sum(isinstance(result, ApiError) for result in results)
    request.state.said = {"accepted": len(results) - refused, "refused": refused}
    answer = {
        "count": len(results) - refused,
        "error_count": refused,
        "records": [
            result.body() if isinstance(result, ApiError) else result for result in results
        ],
    }
    return JSONResponse(
        answer, status_code=207 if refused else 201, headers=accept.quotas.headers(caller)
    )


@router.get("/events/bulk", include_in_schema=False)
@needs(EMIT)
async def get_no_batch() -> None:
    """`bulk` is not an event's id."""
    raise HTTPException(405)


def _caller(request: Request, hops: int) -> Caller:
    caller = caller_of(request)
    return replace(caller, hops=hops) if hops else caller


def accepting(request: Request) -> Accepting:
    return cast(Accepting, request.app.state.accepting)
