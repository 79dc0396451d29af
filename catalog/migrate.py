"""Bring the database to the code's schema: numbered plain SQL, each file applied once."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from catalog.database import Connection, Pool, Record, connection
from catalog.errors import SchemaMismatch

MIGRATIONS = Path(__file__).parent / "migrations"
OLDEST_POSTGRES = 15

_FILE_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
_LOCK = 7_166_480_112  # any constant of our own: whoever holds it migrates, others wait
# A migration on which earlier releases can't run says so in a line of its own, with the reason.
_BREAKING = re.compile(r"^-- breaking: \S", re.MULTILINE)
_SECONDS = 600.0  # for one migration, and for waiting until another process has finished

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Migration:
    name: str
    sql: str

    @property
    def breaking(self) -> bool:
        """Whether releases that lack this migration can't run once it is applied."""
        return _BREAKING.search(self.sql) is not None

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


async def migrate(pool: Pool, *, directory: Path = MIGRATIONS) -> list[str]:
    """Apply missing migrations in order, and return their names.

    Processes that start at once may all call this: one migrates, the others wait and find it done.

    Raises:
        SchemaMismatch: an applied file was changed, the database has a newer migration that this
            code can't run on, or the server is too old.
        CatalogUnavailable: the database is unavailable.
    """
    migrations = read_migrations(directory)
    async with connection(pool) as conn:
        await _check_server(conn)
        # The pool's limits are for requests; a migration may take longer. The pool resets these
        # settings and, if this fails halfway, releases the lock.
        await conn.execute("SET statement_timeout = 0; SET lock_timeout = 0")
        await conn.execute("SELECT pg_advisory_lock($1)", _LOCK, timeout=_SECONDS)
        try:
            await conn.execute(
                """
                CREATE TABLE IF NOT EXISTS schema_migrations (
                    name text PRIMARY KEY,
                    checksum text NOT NULL,
                    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
                )
                """
            )
            # The first release made the table without it.
            await conn.execute(
                "ALTER TABLE schema_migrations "
                "ADD COLUMN IF NOT EXISTS breaking boolean NOT NULL DEFAULT false"
            )
            missing = _missing(migrations, await _applied(conn))
            for migration in missing:
                async with conn.transaction():
                    await conn.execute(migration.sql, timeout=_SECONDS)
                    await conn.execute(
                        "INSERT INTO schema_migrations (name, checksum, breaking) "
                        "VALUES ($1, $2, $3)",
                        migration.name,
                        migration.checksum,
                        migration.breaking,
                    )
        finally:
            await conn.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return [migration.name for migration in missing]


async def pending(pool: Pool, *, directory: Path = MIGRATIONS) -> list[str]:
    """Return the names of the migrations that `migrate` would apply. Raises as `migrate` does."""
    migrations = read_migrations(directory)
    async with connection(pool) as conn:
        await _check_server(conn)
        applied = await _applied(conn)
    return [migration.name for migration in _missing(migrations, applied)]


async def newer(pool: Pool) -> list[str]:
    """Return the names of the applied migrations that belong to newer releases."""
    known = {migration.name for migration in read_migrations(MIGRATIONS)}
    async with connection(pool) as conn:
        return _newer(known, await _applied(conn))


def read_migrations(directory: Path) -> list[Migration]:
    names = sorted(path.name for path in directory.iterdir() if _FILE_NAME.fullmatch(path.name))
    return [Migration(name, (directory / name).read_text(encoding="utf-8")) for name in names]


def _missing(migrations: list[Migration], applied: dict[str, Record]) -> list[Migration]:
    newer = _newer({migration.name for migration in migrations}, applied)
    if breaking := [name for name in newer if applied[name]["breaking"]]:
        raise SchemaMismatch(
            f"the database is newer than this release can run on, it has {', '.join(breaking)}: "
            "start the release that belongs to it, or a newer one"
        )
    if newer:
        log.warning(
            "the database is newer than this release, which can run on it: it has %s",
            ", ".join(newer),
        )
    changed = [
        migration.name
        for migration in migrations
        if migration.name in applied and applied[migration.name]["checksum"] != migration.checksum
    ]
    if changed:
        raise SchemaMismatch(
            f"changed after it was applied: {', '.join(changed)}. "
            "Restore the file and write the change as a new migration"
        )
    return [migration for migration in migrations if migration.name not in applied]


def _newer(known: set[str], applied: dict[str, Record]) -> list[str]:
    return sorted(set(applied) - known)


async def _applied(conn: Connection) -> dict[str, Record]:
    """Return the checksum of each applied migration, and whether it is breaking, by name."""
    if await conn.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return {}
    rows = await conn.fetch(
        """
        SELECT name, checksum, coalesce((to_jsonb(m) ->> 'breaking')::boolean, false) AS breaking
        FROM schema_migrations m
        """
    )
    return {row["name"]: row for row in rows}


async def _check_server(conn: Connection) -> None:
    major: int = conn.get_server_version().major
    if major < OLDEST_POSTGRES:
        raise SchemaMismatch(
            f"the catalog needs PostgreSQL {OLDEST_POSTGRES} or newer, this is {major}"
        )
