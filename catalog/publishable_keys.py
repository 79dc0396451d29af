"""Publishable keys: web pages emit events with them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from catalog import values
from catalog.api_key_rights import WIDEST, KeyRights, rights_of
from catalog.api_keys import KEYS, LARGEST_LIST, key_name, random_text
from catalog.changes import Changes
from catalog.database import Connection, Pool, Record, fetch, fetchrow, transaction
from catalog.older_releases import require_sources
from catalog.ownership import found, own_workspace, owned_ids


@dataclass(frozen=True)
class PublishableKey:
    """Not a secret: whoever has it can emit into its workspace what its `rights` allow.

    `kept_wide` says that someone has decided not to narrow it.
    """

    id: str
    workspace: str
    public_key: str
    name: str
    created_by: str
    created_at: datetime
    revoked_at: datetime | None
    rights: KeyRights = WIDEST
    kept_wide: bool = False

    @property
    def needs_narrowing(self) -> bool:
        """Whether it may rewrite any person, and nobody has confirmed that."""
        return self.revoked_at is None and self.rights.wide and not self.kept_wide


class PublishableKeys:
    """Methods find only what belongs to the organization; for all else they raise `NotFound`."""

    def __init__(self, pool: Pool, changes: Changes) -> None:
        self._pool = pool
        self._changes = changes

    async def create(
        self,
        organization: str,
        *,
        workspace: str,
        name: str,
        created_by: str,
        rights: KeyRights | None = None,
        kept_wide: bool = False,
        replaces: str | None = None,
    ) -> PublishableKey:
        """Make a key. It continues the idempotency keys of the key that it `replaces`, and has the
        same rights unless others are given.

        Raises:
            InvalidValue: the name, or one of the rights.
            NotFound: the workspace isn't the organization's, or has no key `replaces`.
            OlderRelease: it is narrowed, and a process that ignores rights may still run.
        """
        name, created_by = key_name(name), values.created_by(created_by)
        async with transaction(self._pool) as conn:
            workspace_id = await own_workspace(conn, organization, workspace)
            namespace = None
            if replaces is not None:
                stored = await conn.fetchrow(
                    "SELECT * FROM publishable_keys WHERE id = $1 AND workspace_id = $2",
                    values.known_id("key", replaces),
                    workspace_id,
                )
                replaced = found(stored, "key", replaces)
                namespace = replaced["namespace"] or replaced["id"]
                if rights is None:
                    rights, kept_wide = rights_of(replaced), replaced["kept_wide"]
            row = await insert_publishable_key(
                conn, workspace_id, name=name, created_by=created_by, namespace=namespace
            )
            if rights is not None or kept_wide:
                row = await _set_rights(conn, row["id"], rights or WIDEST, kept_wide)
        self._changes.announce(KEYS)
        return _publishable_key(row)

    async def set_rights(
        self, organization: str, id: str, rights: KeyRights, *, kept_wide: bool = False
    ) -> PublishableKey:
        """Replace the key's rights. Raises as `create` does."""
        async with transaction(self._pool) as conn:
            stored = await conn.fetchrow(
                "SELECT k.id FROM publishable_keys k JOIN workspaces w ON w.id = k.workspace_id "
                "WHERE k.id = $1 AND w.organisation_id = $2",
                *owned_ids("key", id, organization),
            )
            row = await _set_rights(conn, found(stored, "key", id)["id"], rights, kept_wide)
        self._changes.announce(KEYS)
        return _publishable_key(row)

    async def current(self, organization: str, workspace: str) -> PublishableKey | None:
        """Return the workspace's newest key that is not revoked; None if it has none."""
        row = await fetchrow(
            self._pool,
            """
            SELECT k.* FROM publishable_keys k JOIN workspaces w ON w.id = k.workspace_id
            WHERE w.id = $1 AND w.organisation_id = $2 AND k.revoked_at IS NULL
            ORDER BY k.created_at DESC, k.id DESC LIMIT 1
            """,
            *owned_ids("workspace", workspace, organization),
        )
        return None if row is None else _publishable_key(row)

    async def list(self, organization: str) -> list[PublishableKey]:
        """List all keys, newest first, including revoked ones."""
        owner = values.known_id("organization", organization)
        rows = await fetch(
            self._pool,
            """
            SELECT k.* FROM publishable_keys k JOIN workspaces w ON w.id = k.workspace_id
            WHERE w.organisation_id = $1
            ORDER BY k.created_at DESC, k.id DESC LIMIT $2
            """,
            owner,
            LARGEST_LIST,
        )
        return [_publishable_key(row) for row in rows]

    async def revoke(self, organization: str, id: str) -> PublishableKey:
        """Revoke it for good. Revoking it again changes nothing."""
        row = await fetchrow(
            self._pool,
            """
            UPDATE publishable_keys k
            SET revoked_at = coalesce(k.revoked_at, clock_timestamp())
            FROM workspaces w
            WHERE k.id = $1 AND w.id = k.workspace_id AND w.organisation_id = $2
            RETURNING k.*
            """,
            *owned_ids("key", id, organization),
        )
        revoked = _publishable_key(found(row, "key", id))
        self._changes.announce(KEYS)
        return revoked


async def keys_that_need_narrowing(pool: Pool) -> list[tuple[str, str]]:
    """List those of all organizations: the name of each key, and of its workspace."""
    rows = await fetch(
        pool,
        "SELECT k.*, w.name AS workspace FROM publishable_keys k "
        "JOIN workspaces w ON w.id = k.workspace_id WHERE k.revoked_at IS NULL ORDER BY w.name",
    )
    return [
        (row["name"], row["workspace"]) for row in rows if _publishable_key(row).needs_narrowing
    ]


async def insert_publishable_key(
    conn: Connection,
    workspace: uuid.UUID,
    *,
    name: str,
    created_by: str,
    namespace: uuid.UUID | None = None,
) -> Record:
    """Insert a new key of a workspace that is known to be the caller's."""
    return await conn.fetchrow(
        "INSERT INTO publishable_keys (workspace_id, public_key, name, created_by, namespace) "
        "VALUES ($1, $2, $3, $4, $5) RETURNING *",
        workspace,
        _new_public_key(workspace),
        name,
        created_by,
        namespace,
    )


async def _set_rights(
    conn: Connection, id: uuid.UUID, rights: KeyRights, kept_wide: bool
) -> Record:
    if rights.narrowed:
        await require_sources(conn)
    return await conn.fetchrow(
        "UPDATE publishable_keys SET events = $2, origins = $3, identify = $4, kept_wide = $5 "
        "WHERE id = $1 RETURNING *",
        id,
        rights.events,
        rights.origins,
        rights.identify,
        kept_wide and rights.wide,
    )


def _new_public_key(workspace: uuid.UUID) -> str:
    """Make `mesh_pub_<8 of the workspace>_<8 random>_<32 random>`, as Meshes' clients check."""
    return f"mesh_pub_{workspace.hex[:8]}_{random_text(8)}_{random_text(32)}"


def _publishable_key(row: Record) -> PublishableKey:
    return PublishableKey(
        id=str(row["id"]),
        workspace=str(row["workspace_id"]),
        public_key=row["public_key"],
        name=row["name"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
        rights=rights_of(row),
        kept_wide=row["kept_wide"],
    )
