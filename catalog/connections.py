"""Connections: one configured destination in one workspace, with its encrypted credential."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from catalog import values
from catalog.changes import Changes
from catalog.connection_fields import ConnectionFields, settings_of
from catalog.database import Pool, Record, fetch, fetchrow, transaction
from catalog.destinations import Destinations
from catalog.encryption.cipher import CredentialCipher
from catalog.errors import Conflict
from catalog.older_releases import require_type
from catalog.ownership import OWNED_CONNECTION, found, own_connection, owned_ids
from catalog.paging import DEFAULT_LIMIT, Page, Paging
from delivery.alert import Refusal
from delivery.credential import ConnectionStatus
from delivery.outcome import REFUSALS, InactiveReason


@dataclass(frozen=True)
class Connection:
    """A connection without its secrets. `settings` are by the keys of its destination's fields."""

    id: str
    workspace: str
    type: str
    name: str
    settings: Mapping[str, str]
    status: ConnectionStatus
    inactive_reason: InactiveReason | None
    credential_version: int
    hidden: bool
    created_by: str
    created_at: datetime
    updated_at: datetime
    # At most, over all workers; None for the vendor's own limit.
    requests_per_second: int | None = None
    # The answer that made it inactive, if one did and it is known.
    refusal: Refusal | None = None
    # None if it isn't inactive, or was before this was recorded.
    inactive_since: datetime | None = None

    @property
    def active(self) -> bool:
        return self.status == "active"


class Connections:
    """Methods find only what belongs to the organization; for all else they raise `NotFound`."""

    def __init__(
        self, pool: Pool, changes: Changes, cipher: CredentialCipher, destinations: Destinations
    ) -> None:
        self._pool = pool
        self._changes = changes
        self._fields = ConnectionFields(cipher, destinations)
        self._releases = destinations

    async def create(
        self,
        organization: str,
        *,
        workspace: str,
        type: str,
        name: str,
        fields: Mapping[str, str],
        hidden: bool = False,
        created_by: str,
    ) -> Connection:
        """Create one; `fields` are its destination's, by key.

        Raises:
            InvalidValue: one of the values.
            NotFound: the workspace isn't the organization's.
            OlderRelease: a process that doesn't know the type runs, or may do so.
        """
        settings, secrets = self._fields.read(type, fields)
        workspace_id, owner = owned_ids("workspace", workspace, organization)
        id = uuid.uuid4()
        encrypted = self._fields.encrypt(
            type, secrets, workspace=str(workspace_id), connection=str(id)
        )
        async with transaction(self._pool) as conn:
            await require_type(conn, type, self._releases)
            row = await conn.fetchrow(
                """
                INSERT INTO connections (id, workspace_id, type, name, region, settings,
                                         encrypted_key, key_id, hidden, created_by)
                SELECT $1, w.id, $4, $5, $6, $7, $8, $9, $10, $11
                FROM workspaces w WHERE w.id = $2 AND w.organisation_id = $3
                RETURNING *
                """,
                id,
                workspace_id,
                owner,
                type,
                values.connection_name(name),
                settings.pop("region", ""),
                settings,
                encrypted.data,
                encrypted.key_id,
                hidden,
                values.created_by(created_by),
            )
        return self._announced(found(row, "workspace", workspace))

    async def get(self, organization: str, id: str) -> Connection:
        ids = owned_ids("connection", id, organization)
        row = await fetchrow(self._pool, OWNED_CONNECTION, *ids)
        return read_connection(found(row, "connection", id))

    async def list(
        self,
        organization: str,
        *,
        workspace: str | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[Connection]:
        """List the newest first, including hidden ones. A workspace of others has none."""
        owner = values.known_id("organization", organization)
        workspace_id = None if workspace is None else values.known_id("workspace", workspace)
        paging = Paging(limit, cursor)
        rows = await fetch(
            self._pool,
            """
            SELECT c.* FROM connections c JOIN workspaces w ON w.id = c.workspace_id
            WHERE w.organisation_id = $1
              AND ($2::uuid IS NULL OR c.workspace_id = $2)
              AND ($3::timestamptz IS NULL OR (c.created_at, c.id) < ($3, $4::uuid))
            ORDER BY c.created_at DESC, c.id DESC
            LIMIT $5
            """,
            owner,
            workspace_id,
            *paging.parameters(),
        )
        return paging.page(rows, read_connection)

    async def update(
        self,
        organization: str,
        id: str,
        *,
        name: str | None = None,
        fields: Mapping[str, str] | None = None,
        hidden: bool | None = None,
        requests_per_second: int | None = None,
    ) -> Connection:
        """Change what is given; what is absent stays. A rate of 0 means the vendor's own limit.

        A blank field is cleared. Any given secret, even the same one, and any changed setting make
        a new version of the credential. If the connection was inactive because the old one was
        refused, it becomes active again. Deliveries that wait for it need a signal, or try again by
        themselves within the hour.

        Raises:
            CannotDecrypt: a stored secret stays, but the key ring can't decrypt it.
        """
        name = None if name is None else values.connection_name(name)
        rate = None if requests_per_second is None else values.request_rate(requests_per_second)
        async with transaction(self._pool) as conn:
            current = await own_connection(conn, organization, id)
            change = self._fields.change(current, fields or {})
            revived = change.renewed and current["inactive_reason"] in REFUSALS
            row = await conn.fetchrow(
                """
                UPDATE connections SET
                    name = coalesce($2, name),
                    region = $3,
                    settings = $4,
                    hidden = coalesce($5, hidden),
                    encrypted_key = $6,
                    key_id = $7,
                    credential_version = credential_version + CASE WHEN $8 THEN 1 ELSE 0 END,
                    status = CASE WHEN $9 THEN 'active' ELSE status END,
                    inactive_reason = CASE WHEN $9 THEN NULL ELSE inactive_reason END,
                    refusal = CASE WHEN $9 THEN NULL ELSE refusal END,
                    requests_per_second = nullif(coalesce($10, requests_per_second), 0),
                    updated_at = clock_timestamp()
                WHERE id = $1
                RETURNING *
                """,
                current["id"],
                name,
                change.settings.pop("region", ""),
                change.settings,
                hidden,
                change.encrypted.data,
                change.encrypted.key_id,
                change.renewed,
                revived,
                rate,
            )
        return self._announced(row)

    async def pause(self, organization: str, id: str) -> Connection:
        """Hold its deliveries. Raises `Conflict` if it is inactive, and so holds them already."""
        return await self._set_status(organization, id, "paused")

    async def resume(self, organization: str, id: str) -> Connection:
        """Let it deliver again, whether it was paused or inactive."""
        return await self._set_status(organization, id, "active")

    async def delete(self, organization: str, id: str, *, force: bool = False) -> Connection:
        """Delete it, its rules and its mapping; returns what it was.

        Raises:
            Conflict: it has active rules, and `force` isn't given.
        """
        async with transaction(self._pool) as conn:
            # Locked against a rule that is being created: its foreign key has to wait or to fail.
            row = await own_connection(conn, organization, id)
            active = await conn.fetchval(
                "SELECT count(*) FROM rules WHERE connection_id = $1 AND active", row["id"]
            )
            if active and not force:
                raise Conflict(
                    f"connection {id!r} has {active} active rules: delete them first, or force it"
                )
            await conn.execute("DELETE FROM connections WHERE id = $1", row["id"])
        return self._announced(row)

    async def _set_status(
        self, organization: str, id: str, status: Literal["active", "paused"]
    ) -> Connection:
        async with transaction(self._pool) as conn:
            current = await own_connection(conn, organization, id)
            if status == "paused" and current["status"] == "inactive":
                raise Conflict(
                    f"connection {id!r} is inactive: replace its key, or resume it, "
                    "before pausing it"
                )
            row = await conn.fetchrow(
                "UPDATE connections SET status = $2, inactive_reason = NULL, refusal = NULL, "
                "updated_at = clock_timestamp() WHERE id = $1 RETURNING *",
                current["id"],
                status,
            )
        return self._announced(row)

    def _announced(self, row: Record) -> Connection:
        self._changes.announce(str(row["workspace_id"]))
        return read_connection(row)


def read_connection(row: Record) -> Connection:
    return Connection(
        id=str(row["id"]),
        workspace=str(row["workspace_id"]),
        type=row["type"],
        name=row["name"],
        settings=settings_of(row),
        status=row["status"],
        inactive_reason=row["inactive_reason"],
        credential_version=row["credential_version"],
        hidden=row["hidden"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        requests_per_second=row["requests_per_second"],
        refusal=Refusal.model_validate(row["refusal"]) if row["refusal"] else None,
        inactive_since=row["inactive_since"],
    )
