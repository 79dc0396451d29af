"""Keys of the HTTP API: publishable ones emit events, machine ones act for an organization."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import uuid
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr

from catalog import values
from catalog.api_key_rights import WIDEST, KeyRights, rights_of
from catalog.changes import Changes
from catalog.database import (
    Connection,
    ForeignKeyViolation,
    Pool,
    Record,
    connection,
    fetch,
    fetchrow,
    transaction,
)
from catalog.encryption.cipher import CredentialCipher
from catalog.errors import InvalidValue, NotFound
from catalog.older_releases import require_scopes, require_sources
from catalog.ownership import found, own_workspace, owned_ids
from catalog.scopes import ALL, in_order, read_scopes

# In place of a workspace, what is announced when any key changes.
KEYS = "keys"

NAME_CHARACTERS = 100
LARGEST_LIST = 1_000

ACCESS_KEY = re.compile(r"mk_[A-Za-z0-9_-]{22,128}")  # as Meshes' clients check it

# A token shows what it is; its first part, by which it is found, is not secret.
TOKEN = re.compile(r"(emitonce_[A-Za-z0-9]{12})_[A-Za-z0-9]{43}")

_ALPHANUMERIC = string.ascii_letters + string.digits


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


@dataclass(frozen=True)
class MachineKey:
    """A machine key without its secret or token, which is shown only once, when the key is made.

    `access_key` of a token is its first part. `last_used_at` is exact to the hour; None if it was
    never used.
    """

    id: str
    organization: str
    access_key: str
    name: str
    created_by: str
    created_at: datetime
    revoked_at: datetime | None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    scopes: frozenset[str] = ALL
    is_token: bool = False


@dataclass(frozen=True)
class NewMachineKey:
    """A machine key with its secret: only now does the secret leave the catalog for a person.

    The secret of a token is the whole token.
    """

    key: MachineKey
    secret_key: SecretStr


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
        name, created_by = _name(name), values.created_by(created_by)
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


class MachineKeys:
    """Methods find only what belongs to the organization; for all else they raise `NotFound`."""

    def __init__(self, pool: Pool, changes: Changes, cipher: CredentialCipher) -> None:
        self._pool = pool
        self._changes = changes
        self._cipher = cipher

    async def create(
        self,
        organization: str,
        *,
        name: str,
        created_by: str,
        expires_at: datetime | None = None,
        scopes: Iterable[str] = ALL,
        as_token: bool = False,
    ) -> NewMachineKey:
        """Make a key, with a secret that signs tokens or as one token; neither can be read again.

        `expires_at`, aware and in the future, is when it expires; absent: never.

        Raises:
            InvalidValue: the name, the scopes, or when it expires.
            NotFound: the organization.
            OlderRelease: an API process that ignores scopes may still run.
        """
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise InvalidValue("expires_at", "lies in the past")
        owner, chosen = values.known_id("organization", organization), read_scopes(scopes)
        id = uuid.uuid4()
        if as_token:
            access_key, encrypted = f"emitonce_{_random(12)}", None
            secret = SecretStr(f"{access_key}_{_random(43)}")
        else:
            access_key, secret = (
                f"mk_{secrets.token_urlsafe(18)}",
                SecretStr(secrets.token_urlsafe(32)),
            )
            encrypted = self._cipher.encrypt(secret, workspace=str(owner), connection=str(id))
        try:
            async with transaction(self._pool) as conn:
                if as_token or chosen != ALL:
                    await require_scopes(conn)
                row = await conn.fetchrow(
                    """
                    INSERT INTO machine_keys (id, organisation_id, access_key, encrypted_secret,
                                              key_id, token_hash, name, created_by, expires_at,
                                              scopes)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *
                    """,
                    id,
                    owner,
                    access_key,
                    encrypted and encrypted.data,
                    encrypted and encrypted.key_id,
                    hash_of(secret.get_secret_value()) if as_token else None,
                    _name(name),
                    values.created_by(created_by),
                    expires_at,
                    None if chosen == ALL else in_order(chosen),
                )
        except ForeignKeyViolation:
            raise NotFound("organization", organization) from None
        self._changes.announce(KEYS)
        return NewMachineKey(key=_machine_key(row), secret_key=secret)

    async def list(self, organization: str) -> list[MachineKey]:
        """List all keys, newest first, including revoked ones."""
        owner = values.known_id("organization", organization)
        rows = await fetch(
            self._pool,
            "SELECT k.*, u.last_used_at FROM machine_keys k "
            "LEFT JOIN machine_key_uses u ON u.key_id = k.id WHERE organisation_id = $1 "
            "ORDER BY created_at DESC, id DESC LIMIT $2",
            owner,
            LARGEST_LIST,
        )
        return [_machine_key(row) for row in rows]

    async def revoke(
        self, organization: str, id: str, *, conn: Connection | None = None
    ) -> MachineKey:
        """Revoke it and delete its secret. Revoking it again changes nothing.

        `conn` is a connection whose transaction it becomes a part of.
        """
        async with nullcontext(conn) if conn else connection(self._pool) as used:
            row = await used.fetchrow(
                """
                UPDATE machine_keys
                SET revoked_at = coalesce(revoked_at, clock_timestamp()),
                    encrypted_secret = NULL, key_id = NULL
                WHERE id = $1 AND organisation_id = $2 RETURNING *
                """,
                *owned_ids("key", id, organization),
            )
        revoked = _machine_key(found(row, "key", id))
        self._changes.announce(KEYS)
        return revoked


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
    return f"mesh_pub_{workspace.hex[:8]}_{_random(8)}_{_random(32)}"


def _random(characters: int) -> str:
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(characters))


def _name(text: str) -> str:
    return values.free_text("name", text, shortest=1, longest=NAME_CHARACTERS)


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


def _machine_key(row: Record) -> MachineKey:
    return MachineKey(
        id=str(row["id"]),
        organization=str(row["organisation_id"]),
        access_key=row["access_key"],
        name=row["name"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
        expires_at=row["expires_at"],
        last_used_at=row.get("last_used_at"),
        scopes=scopes_of(row),
        is_token=row["token_hash"] is not None,
    )


def scopes_of(row: Record) -> frozenset[str]:
    return ALL if row["scopes"] is None else frozenset(row["scopes"])


def hash_of(token: str) -> bytes:
    """SHA-256: a token is random enough that nobody can go through all that could have it."""
    return hashlib.sha256(token.encode()).digest()
