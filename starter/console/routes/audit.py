"""Show the audit: who changed, paused, retried or canceled something, and who signed in."""

from __future__ import annotations

from starlette.responses import Response

from catalog.scopes import MANAGE
from starter.api.routing import needs
from starter.console.route import Visited, console_router

router = console_router()


@router.get("/audit")
@needs(MANAGE)
async def show_audit(visit: Visited) -> Response:
    page = await visit.catalog.audit.list(visit.organization, cursor=visit.query.get("cursor"))
    keys = await visit.catalog.machine_keys.list(visit.organization)
    return await visit.page("audit.html", page=page, names={key.id: key.name for key in keys})
