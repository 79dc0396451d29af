"""Serve an application inside an event loop that also does other things."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from starter.api.app import create_app
from starter.api.audited import forgetting
from starter.api.connection import LARGEST_HEADER, bounded
from starter.api.dependencies import Dependencies
from starter.api.listening import listen

KEEP_ALIVE_SECONDS = 30
SHUTDOWN_SECONDS = 20
MAX_CONNECTIONS = 1_000


class _Server(uvicorn.Server):
    """A server that leaves signals to the process that it runs in."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(
    app: ASGIApp,
    listening: socket.socket,
    *,
    ended: Callable[[], None] = lambda: None,
    **options: Any,
) -> AsyncIterator[None]:
    """Serve until the context is left, then finish the requests in flight.

    `options` are uvicorn's. `ended` is called when the server ends, also if it fails; the context
    then raises the failure.
    """
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        **options,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]), name="HTTP")
    task.add_done_callback(lambda _: ended())
    try:
        yield
    finally:
        server.should_exit = True
        await task
        listening.close()


@asynccontextmanager
async def served(
    parts: Dependencies,
    *,
    host: str,
    port: int,
    console: Callable[[FastAPI], None] | None = None,
    assistants: Callable[[FastAPI], None] | None = None,
    trusted_proxies: str | None = None,
    max_connections: int = MAX_CONNECTIONS,
    ended: Callable[[], None] = lambda: None,
) -> AsyncIterator[str]:
    """Serve the API until the context is left, as `serving` does. Yields the URL.

    Port 0 means any free port. `trusted_proxies` are addresses and networks, separated by commas,
    whose X-Forwarded-For and X-Forwarded-Proto are believed.

    Raises:
        AddressTaken: the address can't be listened on.
    """
    listening = listen(host, port)
    app = create_app(parts, console=console, assistants=assistants)
    async with (
        app.state.buckets.shared(),
        forgetting(parts.catalog.audit, parts.audit_days),
        serving(
            app,
            listening,
            ended=ended,
            http=bounded(max_connections),
            h11_max_incomplete_event_size=LARGEST_HEADER,
            proxy_headers=trusted_proxies is not None,
            forwarded_allow_ips=trusted_proxies or "",
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        ),
    ):
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{listening.getsockname()[1]}"
