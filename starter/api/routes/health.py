"""`/healthz`: the process lives. `/readyz`: it can accept events, if need be without a database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import JSONResponse
from temporalio.service import RPCError

from catalog.database import Pool, connection
from catalog.errors import CatalogUnavailable
from starter.api.routing import ApiDependencies
from starter.api.schemas.shared import Answer, Maybe, Moment
from starter.json_objects import moment

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
        Field(description="While degraded: until when keys that were valid before may still emit."),
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
async def readyz(parts: ApiDependencies) -> Any:
    temporal, database = await asyncio.gather(
        _state(parts.client.service_client.check_health(timeout=timedelta(seconds=CHECK_SECONDS))),
        _state(_ask(parts.catalog.pool)),
    )
    answer: dict[str, Any] = {"status": "ok", "temporal": temporal, "database": database}
    seconds = parts.catalog.api_key_lookup.usable_for()
    if temporal == "ok" and database == "away" and seconds > 0:
        until = moment(datetime.now(UTC) + timedelta(seconds=seconds))
        answer |= {"status": "degraded", "accepts_until": until}
    elif "away" in (temporal, database):
        answer["status"] = "away"
    return JSONResponse(answer, status_code=503 if answer["status"] == "away" else 200)


async def _state(check: Awaitable[object]) -> State:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check
    except (RPCError, CatalogUnavailable, TimeoutError):
        return "away"
    return "ok"


async def _ask(pool: Pool) -> None:
    async with connection(pool) as conn:
        await conn.execute("SELECT 1")
