"""Which workers are alive, and what they know.

Each uses its share of a rate that applies to all of them together, and only what all of them know.
Every worker reports every second. The shares never add up to more than one: a worker divides by the
number of workers that have a share, and uses more than before only once every other one has counted
at least as many. So a new worker waits until the others know it, a second at most, and the share of
one that was killed is free four seconds after its last report. What it knows counts for ten: until
then it may be running still, cut off from the database.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from catalog.database import Connection, Pool, connection, fetchrow, transaction
from catalog.errors import ReleaseTooOld
from delivery.capabilities import Capabilities

ALIVE_SECONDS = 10.0
SHARED_SECONDS = 4.0

_LOCK = 7_166_480_113  # any constant of our own: whoever holds it counts the workers


@dataclass(frozen=True)
class LiveWorkers:
    """How many workers are alive; if none is, when one was last seen, if that is known."""

    count: int
    last_seen: datetime | None


@dataclass(frozen=True)
class Count:
    """How many workers have a share, whether all the others count as many, and what all know.

    `in_use` says since when each feature is in use, of those that the worker itself uses.
    """

    alive: int
    known_to_all: bool
    fleet: Capabilities
    in_use: Mapping[str, datetime] = field(default_factory=dict)


class Releases(Protocol):
    """What this release knows, and the first one, whose workers don't say what they know."""

    @property
    def FIRST_RELEASE(self) -> Capabilities: ...  # noqa: N802

    def this_release(self) -> Capabilities: ...


class Workers:
    def __init__(self, pool: Pool, releases: Releases) -> None:
        self._pool = pool
        self.releases = releases

    async def beat(
        self,
        worker: uuid.UUID,
        knows: Capabilities | None = None,
        release: str | None = None,
        unused: Collection[str] = (),
    ) -> Count:
        """Record that `worker` is alive and what it knows, and count the workers.

        What all of them know is in use from then on, except the features that one of them can't use
        where it runs: `unused`.

        Raises:
            ReleaseTooOld: the fleet uses what this worker doesn't know, so it isn't counted.
        """
        async with transaction(self._pool) as conn:
            await conn.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            knows = knows or self.releases.this_release()
            if unknown := knows.lacks(await _in_use(conn)):
                raise ReleaseTooOld(unknown)
            features = tuple(one for one in knows.features if one not in unused)
            knows = knows.model_copy(update={"features": features})
            await conn.execute(
                "DELETE FROM workers WHERE seen_at < clock_timestamp() - $1 * interval '1 second'",
                ALIVE_SECONDS,
            )
            others = await conn.fetch(
                """
                SELECT knows, counted,
                    seen_at >= clock_timestamp() - shared_seconds * interval '1 second' AS shares
                FROM workers WHERE id <> $1
                """,
                worker,
            )
            shared = [row["counted"] for row in others if row["shares"]]
            alive = len(shared) + 1
            await conn.execute(
                """
                INSERT INTO workers
                    (id, seen_at, counted, release, knows, hears_slow_downs, shared_seconds)
                VALUES ($1, clock_timestamp(), $2, $3, $4, true, $5)
                ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, counted = $2,
                    release = $3, knows = $4, hears_slow_downs = true, shared_seconds = $5
                """,
                worker,
                alive,
                release,
                knows.model_dump(mode="json"),
                SHARED_SECONDS,
            )
            fleet = self._common(knows, [_read(row["knows"]) for row in others])
            builds = set(fleet.builds) - set(self.releases.FIRST_RELEASE.builds)
            of_builds = [("build", str(build)) for build in sorted(builds)]
            await _use(conn, [*of_builds, *(("feature", feature) for feature in fleet.features)])
            used = await conn.fetch("SELECT name, since FROM fleet_uses WHERE kind = 'feature'")
        in_use = {row["name"]: row["since"] for row in used if row["name"] not in unused}
        return Count(alive, all(counted >= alive for counted in shared), fleet, in_use)

    async def in_use_since(self, feature: str) -> datetime | None:
        """Since when all live workers know a feature and use it; None where they don't."""
        row = await fetchrow(
            self._pool, "SELECT since FROM fleet_uses WHERE kind = 'feature' AND name = $1", feature
        )
        return row and row["since"]

    async def fleet(self) -> Capabilities:
        """Return what all live workers know, or what this release knows if none is alive.

        Raises:
            CatalogUnavailable: the database is unavailable.
        """
        async with connection(self._pool) as conn:
            return self._common(self.releases.this_release(), await _known(conn))

    def _common(self, knows: Capabilities, others: list[Capabilities | None]) -> Capabilities:
        for other in others:
            knows = knows.common(other or self.releases.FIRST_RELEASE)
        return knows

    async def alive(self) -> LiveWorkers:
        row = await fetchrow(
            self._pool,
            "SELECT count(*) FILTER "
            "(WHERE seen_at >= clock_timestamp() - $1 * interval '1 second') AS alive, "
            "max(seen_at) AS last_seen FROM workers",
            ALIVE_SECONDS,
        )
        assert row is not None
        return LiveWorkers(row["alive"], row["last_seen"])

    async def leave(self, worker: uuid.UUID) -> None:
        async with transaction(self._pool) as conn:
            await conn.execute("DELETE FROM workers WHERE id = $1", worker)


async def use_feature(conn: Connection, feature: str) -> bool:
    """Start to use a feature, in this transaction; False while a live worker lacks it.

    A worker that lacks it can't start afterwards.
    """
    await conn.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    for known in await _known(conn):
        if known is None or feature not in known.features:
            return False
    await _use(conn, [("feature", feature)])
    return True


async def all_know(conn: Connection, type: str, releases: Releases) -> bool:
    """Say whether all live workers know a destination's type.

    Until the transaction ends, no worker starts that doesn't.
    """
    await conn.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    return all(
        type in (known or releases.FIRST_RELEASE).destination_types for known in await _known(conn)
    )


async def _known(conn: Connection) -> list[Capabilities | None]:
    """Return what each live worker knows; None for one of the first release, which doesn't say."""
    rows = await conn.fetch(
        "SELECT knows FROM workers WHERE seen_at >= clock_timestamp() - $1 * interval '1 second'",
        ALIVE_SECONDS,
    )
    return [_read(row["knows"]) for row in rows]


def _read(stored: object) -> Capabilities | None:
    return None if stored is None else Capabilities.model_validate(stored)


async def _in_use(conn: Connection) -> Capabilities:
    """Return what this release must know: what runs were recorded with, and connections' types."""
    rows = await conn.fetch("SELECT kind, name FROM fleet_uses")
    types = await conn.fetch("SELECT DISTINCT type FROM connections")
    return Capabilities(
        builds=tuple(int(row["name"]) for row in rows if row["kind"] == "build"),
        destination_types=tuple(row["type"] for row in types),
        features=tuple(row["name"] for row in rows if row["kind"] == "feature"),
    )


async def _use(conn: Connection, used: list[tuple[str, str]]) -> None:
    await conn.executemany(
        "INSERT INTO fleet_uses (kind, name) VALUES ($1, $2) ON CONFLICT DO NOTHING", used
    )
