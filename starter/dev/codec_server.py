"""A codec server of its own beside the development stack, so that its Web UI shows events.

In production the HTTP API has the same routes, behind a token: see `starter.api.codec`.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from temporalio.converter import PayloadCodec

from starter.api.codec import PREFIX, CodecAccess, codec_routes
from starter.api.listening import listen as listen_on
from starter.api.middleware import Observed
from starter.api.server import serving

HOST = "127.0.0.1"


def listen() -> tuple[socket.socket, str]:
    """Listen on a free port of loopback; return the socket and the endpoint that it will serve."""
    listening = listen_on(HOST, 0)
    return listening, f"http://{HOST}:{listening.getsockname()[1]}{PREFIX}"


@asynccontextmanager
async def serve_codec(
    listening: socket.socket, codec: PayloadCodec, access: CodecAccess
) -> AsyncIterator[None]:
    """Serve until the context is left."""
    app = Starlette(routes=codec_routes(codec, access), middleware=[Middleware(Observed)])
    async with serving(app, listening, http="h11", timeout_graceful_shutdown=2):
        yield
