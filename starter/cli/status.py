"""`emitonce status`: whether deliveries are healthy, and what to do if they aren't."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime

from temporalio.service import RPCError

from catalog.errors import CatalogUnavailable
from delivery.alert import runbook_url
from engine.connect import TemporalUnreachable, connect
from key_provider import load_secrets
from operations.problem import clock_time
from operations.status import Status, waiting_sentence
from operations.status_reader import StatusReader
from starter.cli.dependencies import (
    CONNECT_SECONDS,
    Dependencies,
    cli_settings,
    open_dependencies,
    require_temporal,
)
from starter.cli.errors import CommandFailed, Exit
from starter.cli.output import Json, console, print_json, print_table

_COLORS = {"ok": "green", "degraded": "yellow", "stuck": "red"}


def status(as_json: Json = False) -> None:
    """Say whether deliveries are healthy: is it us or them, since when, what waits, what to do.

    Exit code 1 when deliveries are stuck.
    """
    found = asyncio.run(read_status())
    if as_json:
        print_json(found.encode())
    else:
        _show(found, cli_settings().runbook_url)
    if found.state == "stuck":
        raise CommandFailed(Exit.BAD)


async def read_status() -> Status:
    async with open_status() as (reader, parts):
        return await reader.read(parts.organization if parts else None)


@asynccontextmanager
async def open_status() -> AsyncIterator[tuple[StatusReader, Dependencies | None]]:
    """Open what answers of PostgreSQL and Temporal. Without PostgreSQL there are no dependencies.

    Raises:
        SettingsError: they name no servers.
    """
    settings = cli_settings()
    require_temporal(settings)
    async with AsyncExitStack() as opened:
        parts, client = None, None
        with suppress(CatalogUnavailable):
            parts = await opened.enter_async_context(open_dependencies())
        with suppress(TemporalUnreachable, RPCError):
            keys = load_secrets(settings).payload_ring()
            client = await connect(timeout_seconds=CONNECT_SECONDS, keys=keys)
        yield StatusReader(client, parts.catalog if parts else None, settings.task_queue), parts


def _show(found: Status, runbook: str) -> None:
    console.print(f"[{_COLORS[found.state]}]{found.state}[/]", end="")
    since = f" since {clock_time(found.since)}" if found.since else ""
    console.print(f"{since}: {_workers(found.workers)}", markup=False)
    for problem in found.problems:
        whose = "ours" if problem.whose == "us" else "theirs"
        section = runbook_url(runbook, problem.symptom)
        words = f"{problem.summary}. {problem.remedy} ({section})"
        console.print(f"  {whose:<7} {words}", markup=False, soft_wrap=True)
    if found.problems:
        words = waiting_sentence(found.waiting, found.lost_at, datetime.now(UTC))
        console.print(f"  {'':<7} {words}", markup=False, soft_wrap=True)
    print_table(
        ("connection", "state", "waiting", "oldest (UTC)", "last success (UTC)"),
        [
            (
                one.name,
                one.state,
                str(one.waiting),
                f"{one.oldest.astimezone(UTC):%d %b %H:%M:%S}" if one.oldest else "",
                f"{one.last_success.astimezone(UTC):%d %b %H:%M:%S}" if one.last_success else "",
            )
            for one in found.connections
        ],
        empty="no connections",
    )


def _workers(count: int | None) -> str:
    if count is None:
        return "the number of workers is unknown"
    return f"{count} {'worker runs' if count == 1 else 'workers run'}"
