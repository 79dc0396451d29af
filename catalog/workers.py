"""Which workers are alive, so that each takes its share of a rate that holds for all of them.

Every worker says so every two seconds. The shares never add up to more than one: a worker divides
by the number of workers there are, and only takes more than before once every other one has
counted at least as many. So one that comes in waits until it is known, two seconds at most, and
what one that has gone leaves behind is taken over as soon as its last word is ten seconds old.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from catalog.database import Pool, transaction
from catalog.errors import CatalogUnavailable

BEAT_SECONDS = 2.0
ALIVE_SECONDS = 10.0
# Shorter than others wait, so that a worker which can't speak stops before its share is taken.
SHARE_SECONDS = 8.0

_LOCK = 7_166_480_113  # any constant of our own: workers are counted by one at a time

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Count:
    """How many workers are alive, and whether all the others know of as many."""

    alive: int
    known_to_all: bool


class Workers:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def beat(self, worker: uuid.UUID) -> Count:
        """Say that `worker` is alive, and count."""
        async with transaction(self._pool) as conn:
            await conn.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await conn.execute(
                "DELETE FROM workers WHERE seen_at < clock_timestamp() - $1 * interval '1 second'",
                ALIVE_SECONDS,
            )
            others = await conn.fetch("SELECT counted FROM workers WHERE id <> $1", worker)
            alive = len(others) + 1
            await conn.execute(
                """
                INSERT INTO workers (id, seen_at, counted) VALUES ($1, clock_timestamp(), $2)
                ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, counted = $2
                """,
                worker,
                alive,
            )
        return Count(alive, all(row["counted"] >= alive for row in others))

    async def leave(self, worker: uuid.UUID) -> None:
        async with transaction(self._pool) as conn:
            await conn.execute("DELETE FROM workers WHERE id = $1", worker)


def next_share(share: float, count: Count) -> float:
    """What part of every rate a worker takes that took `share` until now."""
    fair = 1 / count.alive
    return fair if count.known_to_all else min(share, fair)


class WorkerShare:
    """One worker's share. 0 while it isn't known to the others, or can't reach the database."""

    def __init__(
        self,
        workers: Workers,
        *,
        beat_seconds: float = BEAT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = uuid.uuid4()
        self._workers = workers
        self._beat_seconds = beat_seconds
        self._clock = clock
        self._share = 0.0
        self._until = clock()

    def __call__(self) -> float:
        return self._share if self._clock() < self._until else 0.0

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[WorkerShare]:
        """Keep saying that this worker is alive; at the end it is struck off."""
        await self._beat()
        task = asyncio.create_task(self._keep(), name="worker share")
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            with contextlib.suppress(CatalogUnavailable):
                await self._workers.leave(self.id)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._beat_seconds)
            await self._beat()

    async def _beat(self) -> None:
        started = self._clock()
        try:
            count = await self._workers.beat(self.id)
        except CatalogUnavailable as err:
            log.warning("this worker's share of the rates can't be kept up: %s", err)
            return
        except Exception:  # whatever it was: without a share nothing is sent, so try again
            log.exception("this worker's share of the rates can't be kept up")
            return
        # After a silence others may have taken this share over: begin like one that comes in.
        self._share = next_share(self(), count)
        self._until = started + SHARE_SECONDS


def whole_share() -> float:
    """Of a worker that is alone."""
    return 1.0
