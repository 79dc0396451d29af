"""The banner that every page shows while deliveries are not well."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from operations.status import waiting_sentence
from starter.console.route import Visited, console_router
from starter.console.visit import BANNER

router = console_router()


@router.get(BANNER)
async def show_banner(visit: Visited) -> Response:
    """Return the banner; it is empty while all is well. Open pages ask for it every ten seconds."""
    reader, organization = visit.request.app.state.status, visit.organization
    status = await visit.console.shared_reads.read(
        ("status", organization), lambda: reader.read(organization)
    )
    waiting = waiting_sentence(status.waiting, status.lost_at, datetime.now(UTC))
    return visit.part("banner.html", deliveries=status, waiting=waiting)
