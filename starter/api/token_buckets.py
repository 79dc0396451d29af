"""Token buckets that API processes share, without asking the database on an event's way.

Each process counts what it lets through. Every two seconds, or as soon as it has used a sixteenth
of a quota, it reports that to the database and reads what is left for all. So a burst at several
processes at once may exceed a quota, by a sixteenth for each of them, which is owed afterwards.
Where a process has read nothing for six seconds, it allows only its own share: that is so for a
quota that it hasn't used lately, and for all of them while the database is unavailable.

Between two reports, time is this process's monotonic clock; across reports, the database's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from catalog.errors import CatalogUnavailable
from catalog.quotas import WINDOW_SECONDS, Quotas, Use
from operations.background import in_background

REPORT_SECONDS = 2.0
REPORTED_PART = 16
HEARD_SECONDS = 6.0
# The shortest time between two reports of one process, however much is used.
PAUSE_SECONDS = 0.05
FORGET_EVERY_SECONDS = 3_600.0

# The most buckets that are remembered; beyond that, the one used longest ago is forgotten.
_MOST = 40_000

log = logging.getLogger(__name__)


class Demand(NamedTuple):
    """A demand for `amount` of a quota; `quota` is per minute, `reserved` of it kept for others.

    A demand for more than the whole quota is met once the bucket is full, and leaves it overdrawn:
    otherwise it would never be met.
    """

    policy: str
    subject: str
    quota: int
    amount: float
    reserved: float = 0.0


@dataclass(frozen=True)
class Lack:
    """A demand that can't be met now, and the seconds until it can be if nobody else takes any."""

    demand: Demand
    seconds: float


class _Bucket:
    """One quota's state: `left` is what was left at the time `at`.

    `unreported` was used since the last report, which was answered at `heard_at`. `usable` is how
    much of the quota this process may use, by what it knew at `at`.
    """

    __slots__ = ("at", "heard_at", "left", "quota", "unreported", "usable")

    def __init__(self, now: float, left: float) -> None:
        self.quota = 0
        self.usable = 0.0
        self.left = left
        self.at = now
        self.heard_at = -math.inf
        self.unreported = 0.0


class TokenBuckets:
    def __init__(
        self,
        quotas: Quotas,
        *,
        report_seconds: float = REPORT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._id = uuid.uuid4()
        self._quotas = quotas
        self._report_seconds = report_seconds
        self._clock = clock
        self._alive = 1
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()
        self._used: set[tuple[str, str]] = set()
        self._due = asyncio.Event()

    def take(self, demands: Sequence[Demand]) -> Lack | None:
        """Take all that is demanded, or nothing; then return the lack that lasts longest."""
        now = self._clock()
        longest: Lack | None = None
        found = []
        for demand in demands:
            bucket = self._bucket(demand, now)
            found.append((demand, bucket))
            lack = _lack(demand, bucket)
            if lack is not None and (longest is None or lack.seconds > longest.seconds):
                longest = lack
        if longest is not None:
            return longest
        for demand, bucket in found:
            bucket.left -= demand.amount
            bucket.unreported += demand.amount
            self._used.add((demand.policy, demand.subject))
            if (
                bucket.unreported * REPORTED_PART >= demand.quota
                or now - bucket.heard_at >= self._report_seconds
            ):
                self._due.set()
        return None

    def left(self, demand: Demand) -> float:
        """Return what is left of the demanded quota; below zero if it is overdrawn."""
        return self._bucket(demand, self._clock()).left

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[TokenBuckets]:
        """Share the quotas with all other processes; without the database, keep to this share."""
        await self._report()
        try:
            async with in_background(self._keep_reporting(), name="quotas"):
                yield self
        finally:
            with contextlib.suppress(CatalogUnavailable):
                await self._report()
                await self._quotas.leave(self._id)

    def _bucket(self, demand: Demand, now: float) -> _Bucket:
        key = (demand.policy, demand.subject)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(now, demand.quota / self._alive)
            if len(self._buckets) > _MOST:
                self._used.discard(self._buckets.popitem(last=False)[0])
        self._buckets.move_to_end(key)
        heard = now - bucket.heard_at < HEARD_SECONDS
        usable = demand.quota if heard else demand.quota / self._alive
        left = bucket.left + (now - bucket.at) * usable / WINDOW_SECONDS
        bucket.left = left if left < usable else usable
        bucket.quota, bucket.usable, bucket.at = demand.quota, usable, now
        return bucket

    async def _keep_reporting(self) -> None:
        forget_at = self._clock() + FORGET_EVERY_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._report_seconds):
                    await self._due.wait()
            heard = await self._report()
            if heard and self._clock() >= forget_at:
                forget_at = self._clock() + FORGET_EVERY_SECONDS
                with contextlib.suppress(CatalogUnavailable):
                    await self._quotas.forget_unused()
            await asyncio.sleep(PAUSE_SECONDS if heard else self._report_seconds)

    async def _report(self) -> bool:
        """Report what was used and read what is left; False while the database is unavailable."""
        self._due.clear()
        now = self._clock()
        reported, self._used = self._used, set()
        buckets = [(key, self._buckets[key]) for key in reported if key in self._buckets]
        uses = [Use(*key, bucket.quota, self._to_report(bucket, now)) for key, bucket in buckets]
        for _, bucket in buckets:
            bucket.unreported = 0.0
        try:
            shared = await self._quotas.share(self._id, uses)
        except Exception as err:  # whatever it was, events are accepted and it is tried again
            if isinstance(err, CatalogUnavailable):
                log.warning("quotas are limited to this process's share only: %s", err)
            else:
                log.exception("quotas are limited to this process's share only")
            self._used |= reported
            for (_, bucket), use in zip(buckets, uses, strict=True):
                bucket.unreported += use.used
            return False
        self._alive = shared.alive
        now = self._clock()
        for (_, bucket), left in zip(buckets, shared.left, strict=True):
            bucket.left, bucket.at, bucket.heard_at = left - bucket.unreported, now, now
        return True

    def _to_report(self, bucket: _Bucket, now: float) -> float:
        """Return what was used; after a silence, only what this process's share hasn't restored."""
        if now - bucket.heard_at < HEARD_SECONDS:
            return bucket.unreported
        left = bucket.left + (now - bucket.at) * bucket.quota / self._alive / WINDOW_SECONDS
        return min(bucket.unreported, max(bucket.quota / self._alive - left, 0.0))


def _lack(demand: Demand, bucket: _Bucket) -> Lack | None:
    usable = bucket.usable
    reserved = demand.reserved * usable / demand.quota
    lacking = min(demand.amount, usable - reserved) + reserved - bucket.left
    # A demand at the very moment when it can be met isn't refused for a rounding error.
    return Lack(demand, lacking * WINDOW_SECONDS / usable) if lacking > 1e-6 else None
