"""A cache must not hold what has changed, and must hold what hasn't."""

from __future__ import annotations

import asyncio

import pytest

from catalog.cache import WorkspaceCache
from catalog.changes import EVERY_WORKSPACE
from tests.contract.catalog_samples import Announced


class Store:
    """What the cache reads from; counts how often."""

    def __init__(self) -> None:
        self.value = "old"
        self.reads = 0
        self.ready = asyncio.Event()
        self.ready.set()

    async def load(self) -> str:
        self.reads += 1
        value = self.value
        await self.ready.wait()
        return value


async def test_unchanged_is_read_once():
    store, cache = Store(), WorkspaceCache(Announced(), capacity=10)
    for _ in range(3):
        assert await cache.get("w", "k", store.load) == "old"
    assert store.reads == 1


@pytest.mark.parametrize("announced", ["w", EVERY_WORKSPACE])
async def test_change_is_read_anew(announced):
    changes, store = Announced(), Store()
    cache = WorkspaceCache(changes, capacity=10)
    await cache.get("w", "k", store.load)
    store.value = "new"
    changes.announce(announced)
    assert await cache.get("w", "k", store.load) == "new"


async def test_other_workspaces_stay():
    changes, store = Announced(), Store()
    cache = WorkspaceCache(changes, capacity=10)
    await cache.get("w", "k", store.load)
    changes.announce("another")
    await cache.get("w", "k", store.load)
    assert store.reads == 1


async def test_change_during_a_read_wins():
    changes, store = Announced(), Store()
    cache = WorkspaceCache(changes, capacity=10)
    store.ready.clear()
    reading = asyncio.create_task(cache.get("w", "k", store.load))
    await asyncio.sleep(0)  # the read has begun, with the old value
    store.value = "new"
    changes.announce("w")
    store.ready.set()
    await reading
    assert await cache.get("w", "k", store.load) == "new"


async def test_nothing_is_served_or_held_while_deaf():
    changes, store = Announced(), Store()
    cache = WorkspaceCache(changes, capacity=10)
    await cache.get("w", "k", store.load)
    changes.set_hearing(False)
    store.value = "new"
    assert await cache.get("w", "k", store.load) == "new"
    changes.set_hearing(True)
    changes.announce(EVERY_WORKSPACE)
    assert len(cache) == 0


async def test_read_that_was_begun_before_a_gap_is_not_held():
    changes, store = Announced(), Store()
    cache = WorkspaceCache(changes, capacity=10)
    store.ready.clear()
    reading = asyncio.create_task(cache.get("w", "k", store.load))
    await asyncio.sleep(0)
    changes.set_hearing(False)
    changes.set_hearing(True)
    changes.announce(EVERY_WORKSPACE)
    store.ready.set()
    await reading
    assert len(cache) == 0


async def test_least_recently_used_goes_first():
    store, cache = Store(), WorkspaceCache(Announced(), capacity=2)
    for key in ("a", "b", "a", "c"):
        await cache.get("w", key, store.load)
    assert store.reads == 3
    await cache.get("w", "a", store.load)
    assert store.reads == 3
    await cache.get("w", "b", store.load)
    assert store.reads == 4
