"""Sessions of the console, kept in the database so that one that ends, ends for every process."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from catalog.api_keys import hash_of, scopes_of
from catalog.database import Pool, execute, fetchrow

LASTS = timedelta(hours=12)
IDLE = timedelta(minutes=30)
# How long after entering the secret somebody may create and revoke keys.
FRESH = timedelta(minutes=10)

# How often a session in use is marked as used: not with every page.
_MARKED = timedelta(minutes=1)


@dataclass(frozen=True)
class ConsoleSession:
    """A session. `id` is a secret that only the browser has. `key` is the machine key's id, and
    `scopes` are what it may do now. `fresh`: the key's secret was entered within `FRESH`.
    """

    id: str = field(repr=False)
    key: str
    organisation: str
    access_key: str
    scopes: frozenset[str]
    fresh: bool


class ConsoleSessions:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def begin(self, key: str) -> str:
        """Start a session of the machine key of this id; returns the session's id, a secret."""
        id = secrets.token_urlsafe(32)
        await execute(
            self._pool,
            "WITH ended AS (DELETE FROM console_sessions "
            "WHERE started_at < clock_timestamp() - $3::interval) "
            "INSERT INTO console_sessions (id_hash, key_id) VALUES ($1, $2::uuid)",
            hash_of(id),
            key,
            LASTS,
        )
        return id

    async def read(self, id: str, *, used: bool) -> ConsoleSession | None:
        """Return the session; None once it, or its key, has ended.

        `used`: a person asked for the page, so the session isn't idle.
        """
        row = await fetchrow(
            self._pool,
            """
            SELECT m.*, s.proved_at > clock_timestamp() - $4::interval AS fresh,
                s.seen_at < clock_timestamp() - $5::interval AS unmarked
            FROM console_sessions s JOIN machine_keys m ON m.id = s.key_id
            WHERE s.id_hash = $1 AND s.started_at > clock_timestamp() - $2::interval
                AND s.seen_at > clock_timestamp() - $3::interval AND m.revoked_at IS NULL
                AND coalesce(m.expires_at > clock_timestamp(), true)
            """,
            hash_of(id),
            LASTS,
            IDLE,
            FRESH,
            _MARKED,
        )
        if row is None:
            return None
        if used and row["unmarked"]:
            await self._mark(id, "seen_at")
        return ConsoleSession(
            id=id,
            key=str(row["id"]),
            organisation=str(row["organisation_id"]),
            access_key=row["access_key"],
            scopes=scopes_of(row),
            fresh=row["fresh"],
        )

    async def prove(self, id: str) -> None:
        """Record that the secret was entered again."""
        await self._mark(id, "proved_at")

    async def end(self, id: str) -> None:
        await execute(self._pool, "DELETE FROM console_sessions WHERE id_hash = $1", hash_of(id))

    async def _mark(self, id: str, column: str) -> None:
        query = f"UPDATE console_sessions SET {column} = clock_timestamp() WHERE id_hash = $1"  # noqa: S608 (a column of ours)
        await execute(self._pool, query, hash_of(id))
