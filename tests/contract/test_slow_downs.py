""" "Too many requests" slows every worker, of whatever release, and empties nobody's caches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from catalog import Catalog
from delivery.rule import MatchRequest
from tests.conftest import psql
from tests.contract.catalog_samples import Tenant, all_changes_heard, opened
from tests.contract.older_fleet import OlderWorker
from tests.integration.stack import eventually


@pytest.fixture
async def tenant(tenant: Tenant) -> Tenant:
    await tenant.rule()
    return tenant


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


async def slowed_for_older(older: OlderWorker, tenant: Tenant) -> float:
    return float(await older.ask("slowed for", tenant.workspace, tenant.connection.id))


async def held(catalog: Catalog, tenant: Tenant) -> tuple[int, int]:
    """Which objects the caches give out: others, once they were emptied."""
    request = MatchRequest(workspace=tenant.workspace, event="user.signup", resource="global")
    matched = await catalog.rule_lookup.match(request)
    found = await catalog.credentials.credential(tenant.workspace, tenant.connection.id)
    return id(matched.rules[0]), id(found.secrets)


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


@pytest.mark.slow
async def test_a_worker_of_the_first_release_waits_and_is_heard(
    mixed: tuple[OlderWorker, Tenant, str],
) -> None:
    first, tenant, _ = mixed
    assert await slowed_for_older(first, tenant) == 0
    await tenant.catalog.credentials.slow_down(tenant.connection.id, 60)

    async def waits() -> bool:
        return await slowed_for_older(first, tenant) > 50

    await eventually(waits)
    await first.ask("slow down", tenant.connection.id, 600)

    async def heard() -> bool:
        return await slowed_for(tenant.catalog, tenant) > 500

    await eventually(heard)


@pytest.mark.slow
async def test_once_the_first_release_is_gone_nothing_is_written_for_it(
    mixed: tuple[OlderWorker, Tenant, str],
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
