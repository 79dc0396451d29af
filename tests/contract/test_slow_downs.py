""" "Too many requests" slows every worker, of whatever release, and empties nobody's caches."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from catalog import Catalog
from catalog.changes import CHANNEL
from catalog.workers import WorkerShare
from delivery.rule import MatchRequest
from tests.contract.catalog_samples import Tenant, all_changes_heard, eventually, opened, psql


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
    return id(matched.rules[0]), id(found.api_key)


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


class OlderWorker:
    """A worker of the first release, by its statements."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.heard: list[str] = []

    async def start(self) -> None:
        await self._connection.add_listener(CHANNEL, lambda *said: self.heard.append(said[-1]))
        await self.beat()

    async def beat(self) -> None:
        await self._connection.execute(
            "INSERT INTO workers (id, seen_at, counted) VALUES ($1, clock_timestamp(), 1)",
            uuid.uuid4(),
        )

    async def slow_down(self, connection: str, seconds: float) -> None:
        await self._connection.execute(
            """
            UPDATE connections SET slowed_until = clock_timestamp() + $2 * interval '1 second'
            WHERE id = $1 AND (slowed_until IS NULL
                OR slowed_until < clock_timestamp() + $2 * interval '1 second')
            """,
            uuid.UUID(connection),
            seconds,
        )

    async def slowed_for(self, connection: str) -> float:
        seconds = await self._connection.fetchval(
            "SELECT extract(epoch FROM slowed_until - clock_timestamp())::float8 "
            "FROM connections WHERE id = $1",
            uuid.UUID(connection),
        )
        return float(seconds or 0)


async def test_workers_of_two_releases_slow_each_other(tenant: Tenant, database: str) -> None:
    async with psql(database) as connection:
        older = OlderWorker(connection)
        await older.start()
        async with WorkerShare(tenant.catalog.workers).kept():
            await tenant.catalog.credentials.slow_down(tenant.connection.id, 60)
            assert await older.slowed_for(tenant.connection.id) > 50

            async def told() -> bool:
                return tenant.workspace in older.heard

            await eventually(told)
            await older.slow_down(tenant.connection.id, 600)

            async def slowed() -> bool:
                return await slowed_for(tenant.catalog, tenant) > 500

            await eventually(slowed)


async def test_once_the_older_workers_are_gone_nothing_is_written_for_them(
    tenant: Tenant, database: str
) -> None:
    async with psql(database) as connection:
        older = OlderWorker(connection)
        await older.start()
        await connection.execute("UPDATE workers SET seen_at = seen_at - interval '11 seconds'")
        async with WorkerShare(tenant.catalog.workers).kept():
            await tenant.catalog.credentials.slow_down(tenant.connection.id, 60)
            assert await older.slowed_for(tenant.connection.id) == 0
            await connection.execute(f"NOTIFY {CHANNEL}, 'last'")

            async def heard_all() -> bool:
                return "last" in older.heard

            await eventually(heard_all)
            assert tenant.workspace not in older.heard
