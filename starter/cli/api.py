"""`emitonce api`: the HTTP API in the foreground."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from key_provider import load_secrets
from starter.cli.dependencies import cli_settings, require_temporal
from starter.cli.output import Json, print_answer
from starter.dev.database import with_database


def api(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: EMITONCE_HTTP_HOST.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port to listen on; 0: any free one. Default: EMITONCE_HTTP_PORT."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve the HTTP API until SIGINT or SIGTERM. Requests in flight finish.

    With --json one line {"ready": true, "http": …} is printed once it listens.
    """
    settings = cli_settings()
    require_temporal(settings)
    load_secrets(settings)  # or say which are missing, before a database is started
    chosen = {"http_host": host, "http_port": port}
    given = {name: value for name, value in chosen.items() if value is not None}
    from starter.cli.api_process import (
        run_api,  # a second of imports that other commands don't need
    )

    async def serve() -> None:
        async with with_database(settings.model_copy(update=given)) as complete:
            await run_api(complete, ready=ready)

    def ready(url: str) -> None:
        words = f"The console and the HTTP API are at {url}; the API's reference is at {url}/docs."
        print_answer({"ready": True, "http": url}, words, as_json=as_json, indent=None)

    asyncio.run(serve())
