"""`/healthz`: the process lives. `/readyz`: it can accept events."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse
from temporalio.service import RPCError

from catalog.database import Pool, connection
from catalog.errors import CatalogUnavailable
from starter.api.parts import Parts
from starter.api.schemas.shared import Answer

CHECK_SECONDS = 2.0

State = Literal["ok", "away"]

router = APIRouter(tags=["Health"])


class Health(Answer):
    status: Literal["ok"]


class Readiness(Answer):
    status: Annotated[State, Field(description="`ok` when all parts are.")]
    temporal: State
    database: State


@router.get("/healthz", response_model=Health, summary="Whether the process lives")
async def healthz() -> Any:
    return {"status": "ok"}


@router.get(
    "/readyz",
    response_model=Readiness,
    summary="Whether events can be accepted",
    responses={503: {"model": Readiness, "description": "A part is away"}},
)
async def readyz(request: Request) -> Any:
    parts: Parts = request.app.state.parts
    temporal, database = await asyncio.gather(_temporal(parts), _database(parts.catalog.pool))
    ready = temporal == database == "ok"
    answer = {"status": "ok" if ready else "away", "temporal": temporal, "database": database}
    return JSONResponse(answer, status_code=200 if ready else 503)


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
