"""Keep a worker counted, and say what it may use: its share of the rates, what all workers know."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from catalog.errors import CatalogUnavailable, ReleaseTooOld
from catalog.workers import SHARED_SECONDS, Count, Workers
from delivery.capabilities import Capabilities
from delivery.size import SIZE_LIMIT

BEAT_SECONDS = 1.0
# Shorter than the times after which others stop counting a silent worker: one that can't report
# stops sending before its share is reused, and stops relying on features before others do.
SHARE_SECONDS = 3.0
FLEET_SECONDS = 8.0

log = logging.getLogger(__name__)


def next_share(share: float, count: Count) -> float:
    """Return a worker's share of every rate, if its share was `share` until now."""
    fair = 1 / count.alive
    return fair if count.known_to_all else min(share, fair)


class WorkerShare:
    """One worker's share: 0 while the others don't know it, or it can't reach the database."""

    def __init__(
        self,
        workers: Workers,
        *,
        knows: Capabilities | None = None,
        release: str | None = None,
        unused: Collection[str] = (),
        beat_seconds: float = BEAT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = uuid.uuid4()
        self._workers = workers
        self._knows = knows
        self._release = release
        self._unused = unused
        self._fleet = workers.releases.FIRST_RELEASE
        self._in_use: Mapping[str, datetime] = {}
        self._beat_seconds = beat_seconds
        self._clock = clock
        self._share = 0.0
        self._share_until = self._fleet_until = clock()

    def __call__(self) -> float:
        return self._share if self._clock() < self._share_until else 0.0

    def fleet(self) -> Capabilities:
        """Return what all live workers know; while that is unknown, what the first release knew."""
        known = self._clock() < self._fleet_until
        return self._fleet if known else self._workers.releases.FIRST_RELEASE

    def limited_since(self) -> datetime | None:
        """Return when the limits of size came into force; None while that is unknown."""
        return self._in_use.get(SIZE_LIMIT)

    def in_use(self) -> Mapping[str, datetime]:
        """Return the features in use that this worker uses itself, and since when: a worker that
        lacks one of them is no longer admitted. Empty while that is unknown.
        """
        return self._in_use

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[WorkerShare]:
        """Report that this worker is alive for as long as the context is open.

        Opens when the worker has a share, if the others agree in time: without one, each of its
        tries would be sent back.

        Raises:
            ReleaseTooOld: the fleet uses what this worker doesn't know.
        """
        try:
            await self._beat(starting=True)
            waits_until = self._clock() + SHARED_SECONDS + BEAT_SECONDS
            while not self() and self._clock() < waits_until:
                await asyncio.sleep(self._beat_seconds / 4)
                await self._beat(starting=True)
            task = asyncio.create_task(self._keep(), name="worker share")
            try:
                yield self
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        finally:
            with contextlib.suppress(CatalogUnavailable):
                await self._workers.leave(self.id)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._beat_seconds)
            await self._beat()

    async def _beat(self, *, starting: bool = False) -> None:
        started = self._clock()
        try:
            count = await self._workers.beat(self.id, self._knows, self._release, self._unused)
        except ReleaseTooOld as err:
            if starting:
                raise
            log.error("this worker sends nothing more: %s", err)
            return
        except CatalogUnavailable as err:
            log.warning("this worker's share of the rates can't be kept up: %s", err)
            return
        except Exception:  # after any error: without a share nothing is sent, so try again
            log.exception("this worker's share of the rates can't be kept up")
            return
        # After a silence, others may use this share: start like a new worker.
        self._share = next_share(self(), count)
        self._fleet = count.fleet
        self._in_use = count.in_use
        self._share_until = started + SHARE_SECONDS
        self._fleet_until = started + FLEET_SECONDS


def whole_share() -> float:
    """Return the share of a single worker."""
    return 1.0


def since_ever() -> datetime:
    """Return when the limits of size came into force for a single worker: they always were."""
    return datetime.fromtimestamp(0, UTC)
