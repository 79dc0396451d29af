"""Run the application inside an event loop that does other things too."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from starter.api.app import create_app
from starter.api.connection import LARGEST_HEADER, bounded
from starter.api.listening import listen
from starter.api.parts import Parts

KEEP_ALIVE_SECONDS = 30
SHUTDOWN_SECONDS = 20
MAX_CONNECTIONS = 1_000


class _Server(uvicorn.Server):
    """Leaves signals to the process it is a part of, and says when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.has_started.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    parts: Parts,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None] = lambda url: None,
    console: Callable[[FastAPI], None] | None = None,
    trusted_proxies: str | None = None,
    max_connections: int = MAX_CONNECTIONS,
) -> None:
    """Serve until cancelled; requests in flight are finished. Port 0: any free one.

    `ready` is called with the URL once it listens. Of `trusted_proxies`, addresses and networks
    separated by commas, X-Forwarded-For and X-Forwarded-Proto are believed.

    Raises:
        AddressTaken: it can't listen there.
    """
    listening = listen(host, port)
    app = create_app(parts, console=console)
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        http=bounded(max_connections),
        h11_max_incomplete_event_size=LARGEST_HEADER,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=trusted_proxies is not None,
        forwarded_allow_ips=trusted_proxies or "",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = _Server(config)
    async with app.state.buckets.shared():
        serving = asyncio.create_task(server.serve(sockets=[listening]), name="HTTP API")
        try:
            await server.has_started.wait()
            ready(_url(host, listening.getsockname()))
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            server.should_exit = True
            await serving
            raise
        finally:
            listening.close()


@asynccontextmanager
async def served(parts: Parts, *, host: str, port: int, **more: Any) -> AsyncIterator[str]:
    """Serve within a context; gives the URL. Takes and raises what `serve` does."""
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(parts, host=host, port=port, ready=listening.set_result, **more)
    )
    try:
        either: list[asyncio.Future[Any]] = [listening, serving]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        yield listening.result()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def _url(host: str, address: Any) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{address[1]}"
