"""Whether deliveries are healthy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Request
from pydantic import Field

from operations.status_reader import StatusReader
from starter.api.describing import errors
from starter.api.routing import Organization, management_router
from starter.api.schemas.shared import Answer, Id, Moment

router = management_router("Status")


class ConnectionHealth(Answer):
    """`behind`: it delivers, but events wait for longer than a minute. `failing`: it only fails."""

    id: Id
    name: str
    state: Literal["ok", "behind", "failing", "paused", "inactive"]
    waiting: Annotated[int, Field(description="Events that wait for longer than 10 seconds.")]
    oldest: Annotated[Moment | None, Field(description="When the oldest of them was started.")]
    last_success: Moment | None
    last_error: str | None


class OverallStatus(Answer):
    state: Literal["ok", "degraded", "stuck"]
    since: Moment | None
    connections: list[ConnectionHealth]
    workers: Annotated[int | None, Field(description="How many are alive; null: unknown.")]
    lost_at: Annotated[
        Moment | None,
        Field(description="When the first delivery is given up, unless the trouble ends before."),
    ]
    advice: Annotated[str, Field(description="What is wrong, whose part it is, what to do.")]


@router.get(
    "/status",
    responses=errors(),
    response_model=OverallStatus,
    summary="Whether deliveries are healthy, and what to do if they aren't",
)
async def get_status(request: Request, organization: Organization) -> Any:
    """The numbers are a measurement that may be some seconds old."""
    reader: StatusReader = request.app.state.status
    return (await reader.read(organization)).encode()
