"""Keep values read from the database, to use them for a while when it is unavailable."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from catalog.cache import WorkspaceCache
from catalog.changes import EVERY_WORKSPACE, Changes
from catalog.errors import CatalogError, CatalogUnavailable, NotFound

# A caller who may use a known value waits this long for the database. Once it has not answered, one
# caller in each such interval asks it, and the others don't wait.
ASK_SECONDS = 1.0

log = logging.getLogger(__name__)

T = TypeVar("T")
V = TypeVar("V")
FullKey = tuple[str, str]


@dataclass
class _Known(Generic[V]):
    """`true_until` is None while changes are heard: then it is true now."""

    value: V
    used_at: float
    true_until: float | None


class LastKnown(Generic[V]):
    """Reads through a `WorkspaceCache`, and remembers what was true when changes were last heard.

    While the database is available, it is asked. What a change may have made untrue is read again
    in the background, so that it is known if the database is lost before the next use.
    """

    def __init__(
        self,
        changes: Changes,
        read: Callable[[str], Awaitable[V]],
        *,
        capacity: int,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read` finds a key's value; without the database, it is used for `seconds`."""
        self._changes = changes
        self._read = read
        self._capacity = capacity
        self._seconds = seconds
        self._clock = clock
        self._cache: WorkspaceCache[str, V] = WorkspaceCache(changes, capacity=capacity)
        self._known: OrderedDict[FullKey, _Known[V]] = OrderedDict()
        self._heard = 0
        self._unanswered = False
        self._next_ask = 0.0
        self._to_confirm: dict[FullKey, float] = {}
        self._confirming: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[Any]] = set()
        changes.subscribe(self._on_change)

    async def get(self, workspace: str, key: str, *, unchecked: bool = False) -> V:
        """Return the value of a key. `unchecked` accepts one that was true in the last `seconds`.

        Raises:
            NotFound: there is no value.
            CatalogUnavailable: the database is unavailable, and no usable value is known.
        """
        full_key = (workspace, key)
        try:
            if self._changes.hearing or not unchecked or self._usable(full_key) is None:
                return await self._ask(full_key)
            return await self._ask_soon(full_key)
        except CatalogUnavailable:
            known = self._usable(full_key) if unchecked else None
            if known is None:
                raise
            return known.value

    def usable_for(self) -> float:
        """Return for how many seconds any known value could still be used without the database."""
        now = self._clock()
        heard = [now if one.true_until is None else one.true_until for one in self._known.values()]
        return max((at + self._seconds - now for at in heard), default=0.0)

    async def settled(self) -> None:
        """Wait until all that has changed was read again."""
        while self._confirming is not None:
            await asyncio.wait({self._confirming})

    def _usable(self, full_key: FullKey) -> _Known[V] | None:
        known = self._known.get(full_key)
        if known is None or known.true_until is None:
            return known
        return known if self._clock() - known.true_until < self._seconds else None

    async def _ask(self, full_key: FullKey, used_at: float | None = None) -> V:
        workspace, key = full_key
        heard = self._heard
        try:
            value = await self._cache.get(workspace, key, lambda: self._read(key))
        except NotFound:
            self._known.pop(full_key, None)
            raise
        now = self._clock()
        used_at = now if used_at is None else used_at
        if heard != self._heard:  # it may have been read before the change
            self._confirm({full_key: used_at})
            return value
        true_until = None if self._changes.hearing else now
        self._known[full_key] = _Known(value, used_at, true_until)
        self._known.move_to_end(full_key)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return value

    async def _ask_soon(self, full_key: FullKey) -> V:
        """Raises `CatalogUnavailable` when there is no answer within `ASK_SECONDS`."""
        now = self._clock()
        if self._unanswered and now < self._next_ask:
            raise CatalogUnavailable("it did not answer just before")
        self._next_ask = now + ASK_SECONDS
        # Not canceled when it takes long: the pool waits for a query that was given up.
        asking = self._in_background(self._ask(full_key))
        await asyncio.wait({asking}, timeout=ASK_SECONDS)
        self._unanswered = not asking.done() or isinstance(asking.exception(), CatalogUnavailable)
        if not asking.done():
            raise CatalogUnavailable("no answer in time")
        return asking.result()

    def _on_change(self, workspace: str) -> None:
        self._heard += 1
        if workspace != EVERY_WORKSPACE:
            self._changed(workspace)
        elif self._changes.hearing:
            self._confirm({key: known.used_at for key, known in self._known.items()})
        else:
            now = self._clock()
            for known in self._known.values():
                if known.true_until is None:
                    known.true_until = now

    def _changed(self, workspace: str) -> None:
        """Forget it first: if it can't be read again, it may be what the change has ended."""
        since = self._clock() - self._seconds
        changed = [full_key for full_key in self._known if full_key[0] == workspace]
        used = {full_key: self._known.pop(full_key).used_at for full_key in changed}
        self._confirm({full_key: at for full_key, at in used.items() if at >= since})

    def _confirm(self, used: dict[FullKey, float]) -> None:
        """Read them again, one after the other, in the background, while changes are heard."""
        if self._changes.hearing:
            self._to_confirm |= used
        if self._to_confirm and self._confirming is None:
            self._confirming = self._in_background(self._confirm_all())

    async def _confirm_all(self) -> None:
        try:
            while self._to_confirm:
                full_key, used_at = self._to_confirm.popitem()
                try:
                    await self._ask(full_key, used_at)
                except CatalogUnavailable:
                    self._to_confirm.clear()
                except CatalogError:
                    continue  # the next caller gets the error
        except Exception:
            log.exception("what has changed could not be read again")
        finally:
            self._confirming = None

    def _in_background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it gets it; nobody may be waiting anymore
