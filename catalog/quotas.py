"""How much keys and workspaces may emit, and how much of it is left for all API processes together.

What is left is counted only by the database's clock, so processes whose clocks differ agree.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from catalog.api_keys import KEYS
from catalog.changes import Changes
from catalog.database import Pool, Record, execute, fetchrow, transaction
from catalog.errors import InvalidValue, NotFound
from catalog.ownership import found, owned_ids

WINDOW_SECONDS = 60

# An API process that has not reported for this long no longer has a share.
ALIVE_SECONDS = 10.0

# A quota that nobody has used for this long is full again, however far it was overdrawn.
FORGOTTEN_AFTER = timedelta(days=1)

MOST_EVENTS = 2**31 - 1
MOST_BYTES = 2**50


@dataclass(frozen=True)
class Quota:
    """Events and bytes of request bodies per minute; None where the API's setting applies."""

    events: int | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Use:
    """How much of a quota per minute a process has `used` since its last report."""

    policy: str
    subject: str
    quota: int
    used: float


@dataclass(frozen=True)
class Shared:
    """How many API processes are alive, and what is left of each `Use`, in its order."""

    alive: int
    left: list[float]


class Quotas:
    def __init__(self, pool: Pool, changes: Changes) -> None:
        self._pool = pool
        self._changes = changes

    async def set_of_key(self, organization: str, key: str, quota: Quota) -> None:
        """Give a key of either kind a quota of its own.

        Raises:
            InvalidValue: a number out of range.
            NotFound: the organization has no such key, or it is revoked.
        """
        ids = owned_ids("key", key, organization)
        limits = _checked(quota)
        async with transaction(self._pool) as conn:
            for statement in (
                "UPDATE machine_keys SET events_per_minute = $3, bytes_per_minute = $4 "
                "WHERE id = $1 AND organisation_id = $2 AND revoked_at IS NULL RETURNING true",
                "UPDATE publishable_keys k SET events_per_minute = $3, bytes_per_minute = $4 "
                "FROM workspaces w WHERE k.id = $1 AND w.id = k.workspace_id "
                "AND w.organisation_id = $2 AND k.revoked_at IS NULL RETURNING true",
            ):
                if await conn.fetchval(statement, *ids, *limits):
                    break
            else:
                raise NotFound("key", key)
        self._changes.announce(KEYS)

    async def set_of_workspace(self, organization: str, workspace: str, quota: Quota) -> None:
        """Give a workspace a quota of its own. Raises as `set_of_key`."""
        row = await fetchrow(
            self._pool,
            "UPDATE workspaces SET events_per_minute = $3, bytes_per_minute = $4 "
            "WHERE id = $1 AND organisation_id = $2 RETURNING id",
            *owned_ids("workspace", workspace, organization),
            *_checked(quota),
        )
        self._changes.announce(str(found(row, "workspace", workspace)["id"]))

    async def share(self, process: uuid.UUID, uses: Sequence[Use]) -> Shared:
        """Record that `process` is alive and what it has used; return what is left."""
        # All processes lock the rows in one order, so that no deadlock is possible.
        order = sorted(range(len(uses)), key=lambda i: (uses[i].policy, uses[i].subject))
        async with transaction(self._pool) as conn:
            await conn.execute(
                "DELETE FROM api_processes "
                "WHERE seen_at < clock_timestamp() - $1 * interval '1 second'",
                ALIVE_SECONDS,
            )
            await conn.execute(
                "INSERT INTO api_processes (id, seen_at) VALUES ($1, clock_timestamp()) "
                "ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
                process,
            )
            alive = await conn.fetchval("SELECT count(*) FROM api_processes")
            rows = await conn.fetch(
                """
                INSERT INTO quota_levels AS l (policy, subject, quota, taken, at)
                SELECT policy, subject, quota, used, clock_timestamp()
                FROM unnest($1::text[], $2::uuid[], $3::float8[], $4::float8[])
                    WITH ORDINALITY AS used (policy, subject, quota, used, number)
                ORDER BY number
                ON CONFLICT (policy, subject) DO UPDATE SET
                    quota = excluded.quota,
                    at = greatest(l.at, excluded.at),
                    taken = excluded.taken + greatest(0, l.taken - excluded.quota / $5
                        * greatest(0, extract(epoch FROM excluded.at - l.at)::float8))
                RETURNING policy, subject, quota - taken AS left
                """,
                [uses[i].policy for i in order],
                [uuid.UUID(uses[i].subject) for i in order],
                [float(uses[i].quota) for i in order],
                [uses[i].used for i in order],
                float(WINDOW_SECONDS),
            )
        left = {(row["policy"], str(row["subject"])): row["left"] for row in rows}
        return Shared(alive, [left[use.policy, use.subject] for use in uses])

    async def leave(self, process: uuid.UUID) -> None:
        """Give up the process's share."""
        await execute(self._pool, "DELETE FROM api_processes WHERE id = $1", process)

    async def forget_unused(self) -> None:
        """Delete the levels of quotas that nobody has used for long."""
        await execute(
            self._pool,
            "DELETE FROM quota_levels WHERE at < clock_timestamp() - $1::interval",
            FORGOTTEN_AFTER,
        )


def _checked(quota: Quota) -> tuple[int | None, int | None]:
    for name, value, most in (
        ("events per minute", quota.events, MOST_EVENTS),
        ("bytes per minute", quota.bytes, MOST_BYTES),
    ):
        if value is not None and not 1 <= value <= most:
            raise InvalidValue(name, f"must be 1 to {most:,}")
    return quota.events, quota.bytes


def quota_of(row: Record) -> Quota:
    """Read the quota of a key's or workspace's row."""
    return Quota(row["events_per_minute"], row["bytes_per_minute"])
