"""The first document of an embedded page, and the script for the page around it."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.responses import Response

from catalog.embed_sessions import PAGES
from starter.api.embedding import embedding_origins
from starter.api.errors import ApiError, not_found
from starter.console.rendering import ASSETS
from starter.console.route import Visited, public_router
from starter.console.visit import POLICY

router = public_router()

HOST_SCRIPT = "embed-host.js"


@router.get("/embed/host.js")
async def get_host_script(visit: Visited) -> Response:
    headers = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
    return Response(
        visit.console.assets[HOST_SCRIPT], headers=headers, media_type=ASSETS[HOST_SCRIPT]
    )


@router.get("/embed/{page}")
async def launch(visit: Visited, page: str) -> Response:
    """Open a session's first page by its launch token, which is used up. It has nothing of the
    workspace in it: that is fetched with the access token, which the page around it sends.
    """
    session = await visit.catalog.embed_sessions.launch(visit.query.get("launch", ""))
    if session is None:
        raise ApiError(401, "Invalid or expired embed launch token")
    if page not in PAGES[session.type]:
        raise not_found("page", f"page of a {session.type} session")
    origins = embedding_origins(visit.request, session)
    if not origins or not _is_from(visit.request.headers.get("referer"), origins):
        raise ApiError(403, "this session may not be embedded in that page")
    response = visit.part("embed.html", first=f"/w/{session.workspace}/{page}", origins=origins)
    response.headers["Content-Security-Policy"] = POLICY.replace(
        "frame-ancestors 'none'", f"frame-ancestors {' '.join(origins)}"
    ).replace("form-action 'self'", "form-action 'none'")
    return response


def _is_from(referrer: str | None, origins: tuple[str, ...]) -> bool:
    """Browsers name the page around a frame, unless it asks them not to. They also refuse to show
    the frame in a page that the policy doesn't name."""
    if not referrer:
        return True
    try:
        parts = urlsplit(referrer)
    except ValueError:
        return False
    return f"{parts.scheme}://{parts.netloc}" in origins
