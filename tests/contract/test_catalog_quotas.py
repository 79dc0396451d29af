"""API processes keep one quota together, whatever their clocks say, and also without a database."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from catalog import Catalog
from catalog.errors import InvalidValue, NotFound
from catalog.quotas import WINDOW_SECONDS, Quota
from starter.api.token_buckets import Demand, TokenBuckets
from tests.api.line import DatabaseLine
from tests.conftest import psql
from tests.contract.catalog_samples import Tenant, all_changes_heard, opened
from tests.integration.stack import eventually

KEY = str(uuid.uuid4())
QUOTA = Demand("key-events", KEY, 600, 1)


class Clock:
    """Of a process; the database has another one, by which no time passes here."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Process:
    """An API process that reports when it is told to."""

    def __init__(self, catalog: Catalog, now: float = 100.0) -> None:
        self.clock = Clock(now)
        self.buckets = TokenBuckets(catalog.quotas, clock=self.clock)

    async def report(self) -> bool:
        return await self.buckets._report()

    def taken(self, most: int = 10_000) -> int:
        """How often a demand is let through before it is refused."""
        for number in range(most):
            if self.buckets.take([QUOTA]) is not None:
                return number
        return most


@pytest.fixture
async def catalog(database: str) -> AsyncIterator[Catalog]:
    async with opened(database) as catalog:
        yield catalog


async def alive(*processes: Process) -> None:
    for _ in range(2):
        for process in processes:
            await process.report()


async def test_one_process_lets_the_whole_quota_through_and_then_its_rate(catalog: Catalog) -> None:
    process = Process(catalog)
    assert process.taken() == 600
    process.clock.now += 1
    assert process.taken() == 10
    process.clock.now += 10 * WINDOW_SECONDS
    assert process.taken() == 600


async def test_what_one_process_has_let_through_another_does_not(catalog: Catalog) -> None:
    first, second = Process(catalog), Process(catalog)
    await alive(first, second)
    assert second.taken(most=1) == 1
    assert first.taken() == 300, "what it hasn't heard of counts as its share"
    await alive(first, second)
    assert 290 <= first.taken() + second.taken() <= 600
    await alive(first, second)
    assert first.taken() + second.taken() < 20


async def test_clocks_an_hour_apart_make_no_difference(catalog: Catalog) -> None:
    behind, ahead = Process(catalog, now=100.0), Process(catalog, now=3_700.0)
    for _ in range(5):
        await alive(behind, ahead)
        behind.taken()
        ahead.taken()
    await alive(behind, ahead)
    assert behind.taken() + ahead.taken() < 20


async def test_what_came_at_once_to_several_is_owed_afterwards(catalog: Catalog) -> None:
    processes = [Process(catalog) for _ in range(3)]
    for process in processes:  # each believes to be alone
        assert process.taken() == 600
    for process in processes:
        await process.report()
    last = processes[-1].buckets.left(QUOTA)
    assert -1_200 <= last < -1_190


async def test_the_quota_comes_back_by_the_clock_of_the_database(
    catalog: Catalog, database: str
) -> None:
    process = Process(catalog)
    process.taken()
    await process.report()
    async with psql(database) as conn:
        await conn.execute("UPDATE quota_levels SET at = at - interval '30 seconds'")
    process.buckets.take([QUOTA._replace(amount=0)])
    await process.report()
    assert 300 <= process.taken() <= 310


async def test_a_demand_beyond_the_quota_is_let_through_and_owed(catalog: Catalog) -> None:
    process = Process(catalog)
    batch = QUOTA._replace(quota=30, amount=100)
    assert process.buckets.take([batch]) is None
    assert process.buckets.left(batch) == -70
    lack = process.buckets.take([batch._replace(amount=1)])
    assert lack is not None
    assert lack.seconds == pytest.approx(71 * WINDOW_SECONDS / 30)


async def test_what_is_refused_takes_nothing(catalog: Catalog) -> None:
    process = Process(catalog)
    small = QUOTA._replace(policy="workspace-events", quota=1)
    assert process.buckets.take([QUOTA, small]) is None
    lack = process.buckets.take([QUOTA, small])
    assert lack is not None
    assert lack.demand == small
    assert process.buckets.left(QUOTA) == 599


async def test_without_the_database_each_goes_on_with_its_share(database: str) -> None:
    async with DatabaseLine(database) as line, opened(line.url) as catalog:
        first, second = Process(catalog), Process(catalog)
        await alive(first, second)
        await line.cut()
        for process in (first, second):
            assert await process.report() is False
        first.clock.now += 10
        second.clock.now += 10
        assert first.taken() == 300
        assert second.taken() == 300
        for _ in range(100):  # ten minutes, at its share of the rate
            first.clock.now += 6
            assert first.taken() == 30
        await line.mend()

        await eventually(first.report)
        assert first.buckets.left(QUOTA) >= 290, "what was let through meanwhile is not owed"


async def test_a_key_and_a_workspace_have_quotas_of_their_own(
    catalog: Catalog, database: str
) -> None:
    tenant = await Tenant.create(catalog)
    page = await catalog.publishable_keys.current(tenant.organization, tenant.workspace)
    assert page is not None
    machine = await catalog.machine_keys.create(tenant.organization, name="x", created_by="test")
    async with opened(database) as elsewhere:
        lookup = elsewhere.api_key_lookup
        assert (await lookup.publishable(page.public_key)).quota == Quota()
        assert await lookup.quota_of_workspace(tenant.workspace) == Quota()
        own = Quota(5, 6)
        await catalog.quotas.set_of_key(tenant.organization, page.id, own)
        await catalog.quotas.set_of_key(tenant.organization, machine.key.id, own)
        await catalog.quotas.set_of_workspace(tenant.organization, tenant.workspace, own)
        await all_changes_heard(elsewhere, database)
        assert (await lookup.publishable(page.public_key)).quota == own
        assert (await lookup.machine(machine.key.access_key)).quota == own
        assert await lookup.quota_of_workspace(tenant.workspace) == own


async def test_quotas_of_others_cannot_be_set(catalog: Catalog) -> None:
    tenant = await Tenant.create(catalog)
    page = await catalog.publishable_keys.current(tenant.organization, tenant.workspace)
    other = (await catalog.organizations.create("Other")).id
    assert page is not None
    with pytest.raises(NotFound):
        await catalog.quotas.set_of_key(other, page.id, Quota(1, 1))
    with pytest.raises(NotFound):
        await catalog.quotas.set_of_workspace(other, tenant.workspace, Quota(1, 1))
    with pytest.raises(InvalidValue):
        await catalog.quotas.set_of_workspace(tenant.organization, tenant.workspace, Quota(0, 1))
