"""The dashboard of embedded pages: what became of the latest events."""

from __future__ import annotations

from starlette.responses import Response

from catalog.embed_sessions import DASHBOARD, RESOURCE, WORKSPACE
from starter.api.embedding import only
from starter.api.routing import embeddable
from starter.console.event_filter import EventFilter
from starter.console.names import all_connections, all_rules
from starter.console.route import InWorkspace, console_router
from starter.console.routes.events import SHOWN_AT_ONCE_SECONDS, charts_of

router = console_router()


@router.get("/w/{workspace_id}/dashboard")
@embeddable(WORKSPACE, RESOURCE, DASHBOARD)
async def show_dashboard(visit: InWorkspace) -> Response:
    chosen = EventFilter()
    metrics = visit.embed is not None and visit.embed.type == DASHBOARD
    return await visit.page(
        "dashboard.html",
        chosen=chosen,
        rules=None if metrics else await all_rules(visit),
        connections=None if metrics or only(visit.embed) else await all_connections(visit),
        **await charts_of(visit, chosen, SHOWN_AT_ONCE_SECONDS),
    )
