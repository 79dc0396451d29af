"""A codec server of its own beside the development stack, so that its Web UI shows events.

In production the HTTP API has the same routes, behind a token: see `starter.api.codec`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from temporalio.converter import PayloadCodec

from starter.api.codec import PREFIX, CodecAccess, CodecCors, add_codec
from starter.api.middleware import Failures, Observed

HOST = "127.0.0.1"


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they are for the process that this is a part of


def listen() -> tuple[socket.socket, str]:
    """A socket on a free port of this machine alone, and the endpoint that it will serve."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind((HOST, 0))
    listening.listen()
    listening.setblocking(False)
    return listening, f"http://{HOST}:{listening.getsockname()[1]}{PREFIX}"


@asynccontextmanager
async def serve_codec(
    listening: socket.socket, codec: PayloadCodec, access: CodecAccess
) -> AsyncIterator[None]:
    """Serve until the context is left."""
    app = Starlette()
    add_codec(app, codec, access)
    # The last one added is the outermost.
    app.add_middleware(Failures)
    app.add_middleware(CodecCors, access=access)
    app.add_middleware(Observed)
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        http="h11",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="codec server")
    try:
        yield
    finally:
        server.should_exit = True
        await serving
        listening.close()
