"""`emitonce mcp`: tools for an assistant."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

import typer

from starter.cli.errors import CommandFailed, Exit


def mcp(
    allow_changes: Annotated[
        bool,
        typer.Option("--allow-changes", help="Let it start redeliveries. Default: read-only."),
    ] = False,
) -> None:
    """Serve tools for an assistant over stdin and stdout (Model Context Protocol).

    They call the HTTP API at EMITONCE_URL with the token in EMITONCE_TOKEN, and may do what its
    scopes allow: emitonce keys create token --scope read.
    """
    url, token = os.environ.get("EMITONCE_URL"), os.environ.get("EMITONCE_TOKEN")
    if not url or not token:
        raise CommandFailed(
            Exit.SETTINGS,
            "set EMITONCE_URL to the HTTP API, such as https://emitonce.internal, and "
            "EMITONCE_TOKEN to what `emitonce keys create token --scope read` shows",
        )
    import httpx

    from starter.mcp import needing_sdk

    with needing_sdk():
        from starter.mcp.api import TIMEOUT_SECONDS, Api
        from starter.mcp.server import make_server

    async def serve() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            base_url=url, headers=headers, timeout=TIMEOUT_SECONDS
        ) as http:
            await make_server(Api(http), allow_changes=allow_changes).run_stdio_async()

    asyncio.run(serve())
