"""However workers come and go, their shares of a rate never add up to more than the whole."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable

import asyncpg
import pytest

from catalog.worker_share import SHARE_SECONDS, WorkerShare, next_share
from catalog.workers import Count
from destinations.registry import FIRST_RELEASE
from tests.conftest import psql
from tests.contract.catalog_samples import opened
from tests.integration.stack import eventually


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ticking() -> Callable[[], float]:
    """A clock that advances by a second each time it is read."""
    return itertools.count(100.0).__next__


async def beat(share: WorkerShare) -> float:
    await share._beat()
    return share()


async def test_one_alone_takes_the_whole(database):
    async with opened(database) as catalog, WorkerShare(catalog.workers).kept() as share:
        assert share() == 1


async def test_one_that_comes_in_sends_nothing_before_the_other_knows(database):
    async with opened(database) as catalog:
        first, second = WorkerShare(catalog.workers), WorkerShare(catalog.workers)
        assert await beat(first) == 1
        assert await beat(second) == 0
        assert await beat(first) == 0.5
        assert await beat(second) == 0.5


async def test_what_one_leaves_behind_is_taken_over(database):
    async with opened(database) as catalog:
        stays = WorkerShare(catalog.workers)
        async with WorkerShare(catalog.workers, beat_seconds=60).kept() as leaves:
            for share in (stays, leaves, stays):
                await beat(share)
            assert (stays(), leaves()) == (0.5, 0.5)
        assert await beat(stays) == 1


async def test_one_that_died_is_forgotten_and_begins_anew_when_it_was_only_asleep(database):
    async with opened(database) as catalog, psql(database) as reader:
        clock = Clock()
        stays, sleeps = WorkerShare(catalog.workers), WorkerShare(catalog.workers, clock=clock)
        for share in (stays, sleeps, stays, sleeps):
            await beat(share)
        await reader.execute(
            "UPDATE workers SET seen_at = seen_at - interval '11 seconds' WHERE id = $1", sleeps.id
        )
        clock.now += 11
        assert await beat(stays) == 1
        assert sleeps() == 0
        assert await beat(sleeps) == 0
        assert await beat(stays) == 0.5
        assert await beat(sleeps) == 0.5


async def test_share_of_a_killed_worker_is_soon_free_and_what_it_knows_counts_for_longer(database):
    knowing = FIRST_RELEASE.model_copy(update={"features": ("new",)})
    async with opened(database) as catalog, psql(database) as reader:
        killed = WorkerShare(catalog.workers, knows=FIRST_RELEASE)
        next_one = WorkerShare(catalog.workers, knows=knowing)
        assert (await beat(killed), await beat(next_one)) == (1, 0)
        await reader.execute(
            "UPDATE workers SET seen_at = seen_at - interval '5 seconds' WHERE id = $1", killed.id
        )
        assert await beat(next_one) == 1
        assert next_one.fleet().features == ()


async def test_one_that_replaces_a_killed_worker_opens_with_its_share(database):
    async with opened(database) as catalog, psql(database) as reader:
        killed = WorkerShare(catalog.workers)
        await beat(killed)
        await reader.execute("UPDATE workers SET seen_at = seen_at - interval '3 seconds'")
        async with WorkerShare(catalog.workers).kept() as share:
            assert share() == 1


async def test_one_that_is_stopped_before_it_has_a_share_leaves_nothing_behind(database):
    async with opened(database) as catalog, psql(database) as reader:
        stays = WorkerShare(catalog.workers)
        await beat(stays)
        waits = asyncio.create_task(WorkerShare(catalog.workers).kept().__aenter__())
        await eventually(lambda: counted(reader, 2))
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert await counted(reader, 1)


async def counted(reader: asyncpg.Connection, number: int) -> bool:
    return await reader.fetchval("SELECT count(*) FROM workers") == number


async def test_one_whose_share_does_not_come_free_opens_without(database):
    async with opened(database) as catalog, psql(database) as reader:
        await reader.execute(
            "INSERT INTO workers (id, seen_at, counted) VALUES (gen_random_uuid(), 'infinity', 1)"
        )
        async with WorkerShare(catalog.workers, beat_seconds=0.1, clock=ticking()).kept() as share:
            assert share() == 0


async def test_worker_of_an_older_release_keeps_its_share_for_ten_seconds(database):
    async with opened(database) as catalog, psql(database) as reader:
        new = WorkerShare(catalog.workers)
        await reader.execute(
            "INSERT INTO workers (id, seen_at, counted) "
            "VALUES (gen_random_uuid(), clock_timestamp() - interval '8 seconds', 1)"
        )
        assert await beat(new) == 0


async def test_without_the_database_a_share_runs_out_before_others_take_it(database):
    clock = Clock()
    async with opened(database) as catalog:
        share = WorkerShare(catalog.workers, clock=clock)
        await beat(share)
    assert await beat(share) == 1
    clock.now += SHARE_SECONDS
    assert await beat(share) == 0


@pytest.mark.parametrize("seed", range(10))
async def test_shares_never_add_up_to_more_than_the_whole(database, seed):
    chosen = random.Random(seed)
    async with opened(database) as catalog:
        alive: list[WorkerShare] = []
        for _ in range(60):
            if not alive or chosen.random() < 0.2:
                alive.append(WorkerShare(catalog.workers))
            if len(alive) > 1 and chosen.random() < 0.15:
                await catalog.workers.leave(alive.pop(chosen.randrange(len(alive))).id)
            await beat(chosen.choice(alive))
            assert sum(share() for share in alive) <= 1 + 1e-9
        for share in alive * 3:
            await beat(share)
        assert [share() for share in alive] == [pytest.approx(1 / len(alive))] * len(alive)


def test_share_is_lowered_at_once_and_raised_when_all_know():
    assert next_share(1.0, Count(alive=4, known_to_all=False, fleet=FIRST_RELEASE)) == 0.25
    assert next_share(0.0, Count(alive=4, known_to_all=False, fleet=FIRST_RELEASE)) == 0
    assert next_share(0.25, Count(alive=2, known_to_all=True, fleet=FIRST_RELEASE)) == 0.5
