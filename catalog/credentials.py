"""Look up what sending needs of a connection; read again only when something has changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from catalog import values
from catalog.cache import WorkspaceCache
from catalog.changes import Changes
from catalog.connection_fields import ConnectionFields, settings_of
from catalog.connections import (
    Connection,
    read_connection,
)
from catalog.database import Pool, fetch, fetchrow
from catalog.destinations import Destinations
from catalog.encryption.cipher import CredentialCipher
from catalog.ownership import found
from catalog.slow_downs import SlowDowns
from delivery.alert import Refusal
from delivery.credential import ConnectionCredential, ConnectionStatus
from delivery.outcome import InactiveReason

CAPACITY = 10_000  # connections
MOST_INACTIVE = 1_000  # found by one search


class ConnectionLookup:
    """Cached, since every attempt needs a credential: a query and a decryption each time."""

    def __init__(
        self, pool: Pool, changes: Changes, cipher: CredentialCipher, destinations: Destinations
    ) -> None:
        self._slow_downs = SlowDowns(pool, changes)
        self._pool = pool
        self._changes = changes
        self._fields = ConnectionFields(cipher, destinations)
        self._cache: WorkspaceCache[str, ConnectionCredential] = WorkspaceCache(
            changes, capacity=CAPACITY
        )

    async def credential(self, workspace: str, connection_id: str) -> ConnectionCredential:
        """Return the current credential. The caller has to respect the connection's status.

        Raises:
            NotFound: no such connection in this workspace.
            CannotDecrypt: the key ring lacks its key.
            CatalogUnavailable: it isn't cached, and the database is unavailable.
        """
        workspace = str(values.known_id("workspace", workspace))
        connection_id = str(values.known_id("connection", connection_id))
        held = await self._cache.get(
            workspace, connection_id, lambda: self._read(workspace, connection_id)
        )
        heard = self._slow_downs.until(connection_id)
        if heard is None or (held.slowed_until and held.slowed_until >= heard):
            return held
        return replace(held, slowed_until=heard)

    async def deactivate(
        self,
        connection_id: str,
        *,
        version: int,
        reason: InactiveReason = "authentication_invalid",
        refusal: Refusal | None = None,
    ) -> bool:
        """Make it inactive if it is active and `version` is still its credential's.

        `refusal` is stored with it, for the alert. Returns False if someone has replaced the
        credential or changed the status meanwhile.
        """
        id = values.known_id("connection", connection_id)
        row = await fetchrow(
            self._pool,
            """
            UPDATE connections
            SET status = 'inactive', inactive_reason = $3, refusal = $4,
                updated_at = clock_timestamp()
            WHERE id = $1 AND credential_version = $2 AND status = 'active'
            RETURNING workspace_id
            """,
            id,
            version,
            reason,
            refusal.model_dump(mode="json") if refusal else None,
        )
        if row is None:
            return False
        self._changes.announce(str(row["workspace_id"]))
        return True

    async def status(self, connection_id: str) -> ConnectionStatus | None:
        """Return the status, whoever owns the connection; None if there is no such connection.

        Raises:
            CatalogUnavailable: the database is unavailable.
        """
        statement = "SELECT status FROM connections WHERE id = $1"
        row = await fetchrow(self._pool, statement, values.read_id(connection_id))
        return row["status"] if row else None

    async def inactive(self) -> list[Connection]:
        """List the inactive connections of all organizations, in the order of their ids."""
        inactive = "SELECT * FROM connections WHERE status = 'inactive' ORDER BY id LIMIT $1"
        return [read_connection(row) for row in await fetch(self._pool, inactive, MOST_INACTIVE)]

    async def names(
        self, workspace: str | None, connection_id: str | None
    ) -> tuple[str | None, str | None]:
        """Return the names of a workspace and a connection; None for what doesn't exist."""
        [row] = await fetch(
            self._pool,
            "SELECT (SELECT name FROM workspaces WHERE id = $1), "
            "(SELECT name FROM connections WHERE id = $2)",
            values.read_id(workspace or ""),
            values.read_id(connection_id or ""),
        )
        return row[0], row[1]

    async def slow_down(self, connection_id: str, seconds: float) -> None:
        """Let no worker send to it for `seconds`, or for longer if it must already wait longer."""
        await self._slow_downs.slow_down(connection_id, seconds)

    async def _read(self, workspace: str, connection_id: str) -> ConnectionCredential:
        # Workers of an older release know only of slowed_until.
        stored = await fetchrow(
            self._pool,
            "SELECT c.*, extract(epoch FROM greatest(s.until, c.slowed_until) "
            "- clock_timestamp())::float8 AS slowed "
            "FROM connections c LEFT JOIN slow_downs s ON s.connection_id = c.id "
            "WHERE c.id = $1 AND c.workspace_id = $2",
            connection_id,
            workspace,
        )
        row = found(stored, "connection", connection_id)
        return ConnectionCredential(
            connection=connection_id,
            workspace=workspace,
            type=row["type"],
            status=row["status"],
            inactive_reason=row["inactive_reason"],
            settings=settings_of(row),
            secrets=self._fields.secrets(row),
            version=row["credential_version"],
            requests_per_second=row["requests_per_second"],
            slowed_until=_from_now(row["slowed"]),
        )


def _from_now(seconds: float | None) -> datetime | None:
    """Convert to a time of our own clock: the database's may be ahead or behind."""
    if seconds is None or seconds <= 0:
        return None
    return datetime.now(UTC) + timedelta(seconds=seconds)
