"""A worker on a schema that isn't its release's own: it runs, or it says why it doesn't."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from temporalio.client import Client

from tests.integration.stack import Stack, open_stack
from tests.operations.processes import ROOT, environment_of

SCHEMA = 6


@asynccontextmanager
async def started(stack: Stack) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "starter.cli.main", "worker", "--json"),
        cwd=ROOT,
        env=environment_of(stack) | {"COLUMNS": "1000"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.mark.slow
async def test_on_a_newer_schema_it_delivers_and_warns(temporal: Client, database: str) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        await stack.catalog.pool.execute(
            "INSERT INTO schema_migrations (name, checksum) VALUES ('9999_later.sql', 'x')"
        )
        await stack.rule()
        handle = await stack.emit()
        async with asyncio.timeout(90), started(stack) as worker:
            assert (await handle.result())["status"] == "completed"
            worker.terminate()
            _, err = await worker.communicate()
        [warned] = [line for line in err.decode().splitlines() if "9999_later.sql" in line]
        assert "newer than this release" in warned
        assert '"level": "warning"' in warned


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "INSERT INTO schema_migrations (name, checksum, breaking)"
            " VALUES ('9999_later.sql', 'x', true)",
            ("newer than this release can run on", "9999_later.sql", "start the release"),
        ),
        (
            "UPDATE schema_migrations SET checksum = 'other' WHERE name = '0001_catalog.sql'",
            ("changed after it was applied", "0001_catalog.sql", "Restore the file"),
        ),
    ],
    ids=["breaking", "changed"],
)
async def test_what_it_cannot_run_on_ends_it_with_one_sentence(
    temporal: Client, database: str, change: str, said: tuple[str, ...]
) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        await stack.catalog.pool.execute(change)
        async with asyncio.timeout(90), started(stack) as worker:
            _, err = await worker.communicate()
        assert worker.returncode == SCHEMA
        last = err.decode().splitlines()[-1]
        assert all(words in last for words in said), last
        assert b"Traceback" not in err
