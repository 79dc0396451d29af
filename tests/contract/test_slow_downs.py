""" "Too many requests" slows every worker, of whatever release, and empties nobody's caches."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog
from catalog.workers import WorkerShare
from delivery.rule import MatchRequest
from tests.chaos.older_code import check_out
from tests.conftest import database_url, on_server
from tests.contract.catalog_samples import Tenant, all_changes_heard, eventually, opened, psql
from tests.upgrade.releases import FIRST_COMMIT
from worker import migrate_database


@pytest.fixture
async def tenant(database: str) -> AsyncIterator[Tenant]:
    async with opened(database) as catalog:
        tenant = await Tenant.create(catalog)
        await tenant.rule()
        yield tenant


@pytest.fixture
async def elsewhere(database: str, tenant: Tenant) -> AsyncIterator[Catalog]:
    """Another worker's catalog."""
    async with opened(database) as catalog:
        yield catalog


async def slowed_for(catalog: Catalog, tenant: Tenant) -> float:
    """Seconds, by what the worker of that catalog is told with each try."""
    found = await catalog.credentials.credential(tenant.workspace, tenant.connection.id)
    if found.slowed_until is None:
        return 0.0
    return (found.slowed_until - datetime.now(UTC)).total_seconds()


async def held(catalog: Catalog, tenant: Tenant) -> tuple[int, int]:
    """Which objects the caches give out: others, once they were emptied."""
    request = MatchRequest(workspace=tenant.workspace, event="user.signup", resource="global")
    matched = await catalog.rule_lookup.match(request)
    found = await catalog.credentials.credential(tenant.workspace, tenant.connection.id)
    return id(matched.rules[0]), id(found.secrets["cdpApiKey"])


async def test_another_worker_waits_and_keeps_what_it_holds(
    tenant: Tenant, elsewhere: Catalog, database: str
) -> None:
    await all_changes_heard(elsewhere, database)
    before = await held(elsewhere, tenant)
    await tenant.catalog.credentials.slow_down(tenant.connection.id, 60)

    async def slowed() -> bool:
        return 50 < await slowed_for(elsewhere, tenant) <= 60

    await eventually(slowed)
    await all_changes_heard(elsewhere, database)
    assert await held(elsewhere, tenant) == before
    await elsewhere.credentials.slow_down(tenant.connection.id, 1)
    assert await slowed_for(elsewhere, tenant) > 50
    assert await slowed_for(tenant.catalog, tenant) > 50


async def test_the_worker_that_was_told_waits_at_once(tenant: Tenant, database: str) -> None:
    await all_changes_heard(tenant.catalog, database)
    before = await held(tenant.catalog, tenant)
    await tenant.catalog.credentials.slow_down(tenant.connection.id, 60)
    assert await slowed_for(tenant.catalog, tenant) > 50
    await all_changes_heard(tenant.catalog, database)
    assert await held(tenant.catalog, tenant) == before


async def test_a_worker_that_starts_later_waits_too(tenant: Tenant, database: str) -> None:
    await tenant.catalog.credentials.slow_down(tenant.connection.id, 60)
    async with opened(database) as late:
        assert await slowed_for(late, tenant) > 50


class FirstRelease:
    """A worker of the first release, of whose code the catalog runs in a process of its own."""

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

    async def slowed_for(self, tenant: Tenant) -> float:
        return float(await self.ask("slowed for", tenant.workspace, tenant.connection.id))

    async def leave(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(30):
            await self._process.wait()


@pytest.fixture(scope="module")
def first_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return check_out(FIRST_COMMIT, tmp_path_factory.mktemp("first-release"))


@pytest.fixture
async def mixed(
    postgres_dsn: str, first_code: Path
) -> AsyncIterator[tuple[FirstRelease, Tenant, str]]:
    """A worker of the first release that was there before the database was migrated, and ours."""
    name = f"emitonce_mixed_{uuid.uuid4().hex[:8]}"
    await on_server(postgres_dsn, f"CREATE DATABASE {name}")
    dsn = database_url(postgres_dsn, name)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).parent / "first_release_worker.py"), dsn),
        cwd=first_code,
        env=os.environ | {"PYTHONPATH": str(first_code)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    first = FirstRelease(process)
    try:
        assert await first.said() == "ready"
        await migrate_database(dsn)
        async with opened(dsn) as catalog, WorkerShare(catalog.workers).kept():
            yield first, await Tenant.create(catalog), dsn
    finally:
        if process.returncode is None:
            await first.leave()
        await on_server(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)")


async def test_a_worker_of_the_first_release_waits_and_is_heard(
    mixed: tuple[FirstRelease, Tenant, str],
) -> None:
    first, tenant, _ = mixed
    assert await first.slowed_for(tenant) == 0
    await tenant.catalog.credentials.slow_down(tenant.connection.id, 60)

    async def waits() -> bool:
        return await first.slowed_for(tenant) > 50

    await eventually(waits)
    await first.ask("slow down", tenant.connection.id, 600)

    async def heard() -> bool:
        return await slowed_for(tenant.catalog, tenant) > 500

    await eventually(heard)


async def test_once_the_first_release_is_gone_nothing_is_written_for_it(
    mixed: tuple[FirstRelease, Tenant, str],
) -> None:
    first, tenant, dsn = mixed
    await first.leave()
    heard: list[str] = []
    await all_changes_heard(tenant.catalog, dsn)
    tenant.catalog.changes.subscribe(heard.append)
    await tenant.catalog.credentials.slow_down(tenant.connection.id, 60)
    await all_changes_heard(tenant.catalog, dsn)
    assert tenant.workspace not in heard
    async with psql(dsn) as reader:
        assert await reader.fetchval("SELECT slowed_until FROM connections") is None
