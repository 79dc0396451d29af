"""`emitonce worker` and `emitonce migrate`: what production runs."""

from __future__ import annotations

import asyncio

from key_provider import load_secrets
from process import migrate_database
from settings import Settings
from starter.cli.dependencies import cli_settings, require_temporal
from starter.cli.output import Json, print_answer, print_line
from starter.dev.database import database_url, with_database
from worker import run


def worker(as_json: Json = False) -> None:
    """Deliver events until SIGINT or SIGTERM. Requests in flight finish.

    With --json one line {"ready": true} is printed once it works.
    """
    settings = cli_settings()
    require_temporal(settings)
    load_secrets(settings)  # or say which are missing, before a database is started

    async def work() -> None:
        async with with_database(settings) as complete:
            await run(complete, ready=lambda: print_line({"ready": True}) if as_json else None)

    asyncio.run(work())


def migrate(as_json: Json = False) -> None:
    """Bring the catalog's database to this version's schema."""

    async def apply(settings: Settings) -> list[str]:
        async with database_url(settings) as dsn:
            return await migrate_database(dsn)

    applied = asyncio.run(apply(cli_settings()))
    words = f"applied {', '.join(applied)}" if applied else "the database is up to date"
    print_answer({"applied": applied}, words, as_json=as_json)
