"""`/healthz`: the process lives. `/readyz`: it can accept events, if need be without a database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse
from temporalio.service import RPCError

from catalog.database import Pool, connection
from catalog.errors import CatalogUnavailable
from starter.api.parts import Parts
from starter.api.schemas.shared import Answer, Maybe, Moment
from starter.shapes import moment

CHECK_SECONDS = 2.0

State = Literal["ok", "away"]

router = APIRouter(tags=["Health"])


class Health(Answer):
    status: Literal["ok"]


class Readiness(Answer):
    status: Annotated[
        Literal["ok", "degraded", "away"],
        Field(description="`ok` when all parts are; `degraded` while events are accepted."),
    ]
    temporal: State
    database: State
    accepts_until: Annotated[
        Maybe[Moment],
        Field(description="While degraded: when the last key ends that may emit unchecked."),
    ] = None


@router.get("/healthz", response_model=Health, summary="Whether the process lives")
async def healthz() -> Any:
    return {"status": "ok"}


@router.get(
    "/readyz",
    response_model=Readiness,
    summary="Whether events can be accepted",
    responses={503: {"model": Readiness, "description": "No event can be accepted"}},
)
async def readyz(request: Request) -> Any:
    parts: Parts = request.app.state.parts
    temporal, database = await asyncio.gather(_temporal(parts), _database(parts.catalog.pool))
    answer: dict[str, Any] = {"status": "ok", "temporal": temporal, "database": database}
    seconds = parts.catalog.api_key_lookup.usable_for()
    if temporal == "ok" and database == "away" and seconds > 0:
        until = moment(datetime.now(UTC) + timedelta(seconds=seconds))
        answer |= {"status": "degraded", "accepts_until": until}
    elif "away" in (temporal, database):
        answer["status"] = "away"
    return JSONResponse(answer, status_code=503 if answer["status"] == "away" else 200)


async def _temporal(parts: Parts) -> State:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await parts.client.service_client.check_health(timeout=timedelta(seconds=CHECK_SECONDS))
    except (RPCError, TimeoutError):
        return "away"
    return "ok"


async def _database(pool: Pool) -> State:
    try:
        async with asyncio.timeout(CHECK_SECONDS), connection(pool) as conn:
            await conn.execute("SELECT 1")
    except (CatalogUnavailable, TimeoutError):
        return "away"
    return "ok"
