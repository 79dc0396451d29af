"""Sessions of the console, kept in the database so that one that ends, ends for every process."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from catalog import values
from catalog.api_keys import LARGEST_LIST, hash_of, scopes_of
from catalog.database import Connection, Pool, execute, fetch, fetchrow, transaction
from catalog.errors import SessionEnded
from catalog.scopes import in_order

LASTS = timedelta(hours=12)
IDLE = timedelta(minutes=30)
# How long after signing in, or entering the secret, someone may create and revoke keys.
FRESH = timedelta(minutes=10)

# How often a session in use is marked as used: not with every page.
_MARKED = timedelta(minutes=1)

# Sessions that have not ended, and whose key has not, each with what its holder may do now.
_OPEN = """
    SELECT s.started_at, s.seen_at, m.access_key, m.name AS key_name,
        coalesce(s.user_id, s.key_id) AS holder,
        coalesce(s.organisation_id, m.organisation_id) AS owner,
        CASE WHEN s.user_id IS NULL THEN m.scopes ELSE s.scopes END AS scopes,
        s.proved_at > clock_timestamp() - $3::interval AS fresh,
        s.seen_at < clock_timestamp() - $4::interval AS unmarked
    FROM console_sessions s LEFT JOIN machine_keys m ON m.id = s.key_id
    WHERE s.started_at > clock_timestamp() - $1::interval
        AND s.seen_at > clock_timestamp() - $2::interval
        AND (m.id IS NULL OR m.revoked_at IS NULL)
        AND coalesce(m.expires_at > clock_timestamp(), true)
"""
_TIMES = (LASTS, IDLE, FRESH, _MARKED)

_END = """
    DELETE FROM console_sessions
    WHERE started_at < clock_timestamp() - $1::interval OR id_hash = $2
"""
_BEGIN = """
    INSERT INTO console_sessions (id_hash, key_id, user_id, organisation_id, scopes, proved_at)
    VALUES ($1, $2, $3, $4, $5, coalesce(clock_timestamp() - $6::interval, '-infinity'))
"""


@dataclass(frozen=True)
class ConsoleSession:
    """A session, of a machine key or of a user, who has signed in by single sign-on.

    `id` is a secret that only the browser has. `holder` is the key's or the user's id, and
    `access_key` and `key_name` are those of the key. `scopes` are what the holder may do now.
    `fresh`: they have signed in, or entered the key's secret again, within `FRESH`.
    """

    id: str = field(repr=False)
    holder: str
    organization: str
    scopes: frozenset[str]
    fresh: bool
    access_key: str | None = None
    key_name: str | None = None

    @property
    def actor(self) -> str:
        """Who it is, for the audit and for what they create: a key's id, or `user:` and an id."""
        return self.holder if self.access_key else f"user:{self.holder}"


@dataclass(frozen=True)
class SessionsOf:
    """The `count` open sessions of one key or user. `key_name` is None for a user."""

    holder: str
    key_name: str | None
    scopes: frozenset[str]
    count: int
    started_at: datetime
    seen_at: datetime


class ConsoleSessions:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def begin(self, key: str) -> str:
        """Start a session of the machine key of this id; returns the session's id, a secret."""
        return await self._begin(uuid.UUID(key), None, None, None, timedelta(0))

    async def begin_for_user(
        self,
        user: str,
        organization: str,
        scopes: Collection[str],
        *,
        signed_in_ago: timedelta | None,
        replaces: bytes | None = None,
    ) -> str:
        """Start a session of a user; returns the session's id, a secret.

        `signed_in_ago` is when they last proved to the provider who they are; None: unknown.
        `replaces` is the hash of a session's id that ends.
        """
        held = (None, uuid.UUID(user), uuid.UUID(organization), in_order(scopes))
        return await self._begin(*held, signed_in_ago, replaces=replaces)

    async def _begin(self, *columns: object, replaces: bytes | None = None) -> str:
        id = secrets.token_urlsafe(32)
        async with transaction(self._pool) as conn:
            await conn.execute(_END, LASTS, replaces)
            await conn.execute(_BEGIN, hash_of(id), *columns)
        return id

    async def read(self, id: str, *, used: bool) -> ConsoleSession | None:
        """Return the session; None once it, or its key, has ended.

        `used`: a person asked for the page, so the session isn't idle.
        """
        row = await fetchrow(self._pool, f"{_OPEN} AND s.id_hash = $5", *_TIMES, hash_of(id))
        if row is None:
            return None
        if used and row["unmarked"]:
            await execute(
                self._pool,
                "UPDATE console_sessions SET seen_at = clock_timestamp() WHERE id_hash = $1",
                hash_of(id),
            )
        return ConsoleSession(
            id=id,
            holder=str(row["holder"]),
            organization=str(row["owner"]),
            scopes=scopes_of(row),
            fresh=row["fresh"],
            access_key=row["access_key"],
            key_name=row["key_name"],
        )

    async def prove(self, id: str) -> str:
        """Record that the secret was entered again; returns the id that the session has now."""
        new = secrets.token_urlsafe(32)
        await execute(
            self._pool,
            "UPDATE console_sessions SET id_hash = $2, proved_at = clock_timestamp() "
            "WHERE id_hash = $1",
            hash_of(id),
            hash_of(new),
        )
        return new

    async def end(self, id: str) -> None:
        await execute(self._pool, "DELETE FROM console_sessions WHERE id_hash = $1", hash_of(id))

    async def list(self, organization: str) -> list[SessionsOf]:
        """List who has open sessions, the most recently seen first."""
        rows = await fetch(
            self._pool,
            f"""
            SELECT holder, key_name, scopes, count(*), min(started_at) AS started_at,
                max(seen_at) AS seen_at
            FROM ({_OPEN}) AS open_sessions WHERE owner = $5
            GROUP BY holder, key_name, scopes ORDER BY max(seen_at) DESC LIMIT {LARGEST_LIST}
            """,  # noqa: S608 (texts of ours)
            *_TIMES,
            values.known_id("organization", organization),
        )
        return [
            SessionsOf(
                holder=str(row["holder"]),
                key_name=row["key_name"],
                scopes=scopes_of(row),
                count=row["count"],
                started_at=row["started_at"],
                seen_at=row["seen_at"],
            )
            for row in rows
        ]

    @asynccontextmanager
    async def removing(self, session: ConsoleSession) -> AsyncIterator[Connection]:
        """Let only one in the organization remove others at a time, on this connection.

        So of two who remove each other at once, one is removed.

        Raises:
            SessionEnded: the session, or its key, ended meanwhile.
        """
        async with transaction(self._pool) as conn:
            lock = f"console sessions of {session.organization}"
            await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", lock)
            query = f"{_OPEN} AND s.id_hash = $5"
            if await conn.fetchrow(query, *_TIMES, hash_of(session.id)) is None:
                raise SessionEnded
            yield conn

    async def end_all(self, by: ConsoleSession, holder: str) -> None:
        """End all sessions of a key or user of the same organization. Raises `SessionEnded`."""
        async with self.removing(by) as conn:
            await conn.execute(
                """
                DELETE FROM console_sessions s
                WHERE (s.user_id = $1 AND s.organisation_id = $2) OR s.key_id = (
                    SELECT id FROM machine_keys WHERE id = $1 AND organisation_id = $2
                )
                """,
                values.known_id("session", holder),
                uuid.UUID(by.organization),
            )
