"""A bounded cache that holds only what it would be notified of when it changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from catalog.changes import EVERY_WORKSPACE, Changes

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class WorkspaceCache(Generic[K, V]):
    """Drops the least recently used entries, and all of a workspace when it changes.

    Keys are pairs of workspace and whatever distinguishes its entries.
    """

    def __init__(self, changes: Changes, *, capacity: int) -> None:
        self._changes = changes
        self._capacity = capacity
        self._entries: OrderedDict[tuple[str, K], V] = OrderedDict()
        self._generation = 0
        changes.subscribe(self._forget)

    async def get(self, workspace: str, key: K, load: Callable[[], Awaitable[V]]) -> V:
        """Return the cached value, or else the one that `load` reads, which is then cached.

        It isn't cached if a change was heard during the read: the value may be from before it.
        """
        if not self._changes.hearing:
            return await load()
        full_key = (workspace, key)
        if full_key in self._entries:
            self._entries.move_to_end(full_key)
            return self._entries[full_key]
        generation = self._generation
        value = await load()
        if self._changes.hearing and generation == self._generation:
            self._entries[full_key] = value
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
        return value

    def __len__(self) -> int:
        return len(self._entries)

    def _forget(self, workspace: str) -> None:
        self._generation += 1
        if workspace == EVERY_WORKSPACE:
            self._entries.clear()
            return
        for key in [key for key in self._entries if key[0] == workspace]:
            del self._entries[key]
