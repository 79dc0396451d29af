"""A fleet in which a worker of an older release runs beside ours, on one database."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from catalog.worker_share import WorkerShare
from process import migrate_database
from tests.conftest import database_url, on_server
from tests.contract.catalog_samples import Tenant, opened


class OlderWorker:
    """A worker of an older release, of whose code the catalog runs in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def said(self) -> Any:
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            return json.loads(await self._process.stdout.readline())

    async def ask(self, what: str, *arguments: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([what, *arguments]).encode() + b"\n")
        return await self.said()

    async def leave(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(30):
            await self._process.wait()


@asynccontextmanager
async def mixed_fleet(
    postgres_dsn: str, code: Path
) -> AsyncIterator[tuple[OlderWorker, Tenant, str]]:
    """The older worker was there before the database was migrated."""
    name = f"emitonce_mixed_{uuid.uuid4().hex[:8]}"
    await on_server(postgres_dsn, f"CREATE DATABASE {name}")
    dsn = database_url(postgres_dsn, name)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).parent / "older_catalog.py"), dsn),
        cwd=code,
        env=os.environ | {"PYTHONPATH": str(code)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    older = OlderWorker(process)
    try:
        assert await older.said() == "ready"
        await migrate_database(dsn)
        async with opened(dsn) as catalog, WorkerShare(catalog.workers).kept():
            yield older, await Tenant.create(catalog), dsn
    finally:
        if process.returncode is None:
            await older.leave()
        await on_server(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)")
