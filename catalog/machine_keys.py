"""Machine keys and tokens: they act for an organization."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr

from catalog import values
from catalog.api_keys import KEYS, LARGEST_LIST, hash_of, key_name, random_text, scopes_of
from catalog.changes import Changes
from catalog.database import (
    Connection,
    ForeignKeyViolation,
    Pool,
    Record,
    connection,
    fetch,
    transaction,
)
from catalog.encryption.cipher import CredentialCipher
from catalog.errors import InvalidValue, NotFound
from catalog.older_releases import require_scopes
from catalog.ownership import found, owned_ids
from catalog.scopes import ALL, in_order, read_scopes


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
            access_key, encrypted = f"emitonce_{random_text(12)}", None
            secret = SecretStr(f"{access_key}_{random_text(43)}")
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
                    key_name(name),
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
