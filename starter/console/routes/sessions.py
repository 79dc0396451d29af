"""Who is signed in now, and how to end that."""

from __future__ import annotations

from starlette.responses import Response

from catalog.scopes import MANAGE, READ
from starter.api.routing import needs
from starter.console.route import Visited, console_router, see_other

router = console_router()


@router.get("/sessions")
@needs(READ)
async def show_sessions(visit: Visited) -> Response:
    """Show one's own sessions; to who may manage, those of all."""
    found = await visit.catalog.console_sessions.list(visit.organization)
    if MANAGE not in visit.may:
        found = [one for one in found if one.holder == visit.session.holder]
    return await visit.page("sessions.html", sessions=found)


@router.post("/sessions/{holder_id}/end")
async def end_sessions(visit: Visited, holder_id: str) -> Response:
    """End all sessions of a key or user, in every process."""
    await visit.catalog.console_sessions.end_all(visit.session, holder_id)
    return see_other("/sessions", "sessions-ended")
