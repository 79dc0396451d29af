"""Style sheet, script and mark, held in memory; their addresses change with their content."""

from __future__ import annotations

import gzip
from functools import lru_cache

from starlette.responses import Response

from starter.api.errors import not_found
from starter.console.rendering import ASSETS
from starter.console.route import Visited, public_router

router = public_router()

FOREVER = "public, max-age=31536000, immutable"


@router.get("/assets/{version}/{name}")
async def get_asset(visit: Visited, version: str, name: str) -> Response:
    data = visit.console.assets.get(name)
    if data is None:
        raise not_found("name", "file")
    headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
    if "gzip" in visit.request.headers.get("accept-encoding", ""):
        data, headers["Content-Encoding"] = _compressed(data), "gzip"
    return Response(data, media_type=ASSETS[name], headers=headers)


@lru_cache(maxsize=len(ASSETS))
def _compressed(data: bytes) -> bytes:
    return gzip.compress(data, 9)
