"""Stored secrets are encrypted anew, under the key now in use, while deliveries go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from catalog.database import Pool, transaction
from catalog.encryption.cipher import CredentialCipher, Encrypted
from catalog.errors import CannotDecrypt

BATCH = 100

_FIRST = UUID(int=0)


@dataclass(frozen=True)
class _Table:
    name: str
    secret: str
    owner: str
    noun: str


# The ids that a secret is bound to are those of its owner and of its own row.
_TABLES = (
    _Table("connections", "encrypted_key", "workspace_id", "connection"),
    _Table("machine_keys", "encrypted_secret", "organisation_id", "machine key"),
    _Table("alert_targets", "encrypted_target", "id", "alert target"),
)


@dataclass(frozen=True)
class Batch:
    """What one transaction did. `unreadable` names rows that no key of the ring opens."""

    done: int
    unreadable: tuple[str, ...]


class Reencryption:
    """Can be stopped at any time and begun again: what is done carries its new key's id."""

    def __init__(self, pool: Pool, cipher: CredentialCipher) -> None:
        self._pool = pool
        self._cipher = cipher

    async def run(self, *, batch: int = BATCH) -> AsyncIterator[Batch]:
        """Batch by batch. A delivery that reads a credential meanwhile gets the old or the new
        form, and opens either.
        """
        for table in _TABLES:
            after: UUID | None = _FIRST
            while after is not None:
                done, after = await self._batch(table, after, batch)
                yield done

    async def _batch(self, table: _Table, after: UUID, size: int) -> tuple[Batch, UUID | None]:
        current = self._cipher.current
        async with transaction(self._pool) as conn:
            # The names are our own constants. Locked, so that a key replaced just now isn't undone.
            rows = await conn.fetch(
                f"SELECT id, {table.owner} AS owner, key_id, {table.secret} AS secret "  # noqa: S608
                f"FROM {table.name} WHERE key_id <> $1 AND id > $2 "
                "ORDER BY id LIMIT $3 FOR UPDATE",
                current,
                after,
                size,
            )
            renewed, unreadable = [], []
            for row in rows:
                place = {"workspace": str(row["owner"]), "connection": str(row["id"])}
                try:
                    secret = self._cipher.decrypt(Encrypted(row["key_id"], row["secret"]), **place)
                except CannotDecrypt:
                    unreadable.append(f"{table.noun} {row['id']}")
                    continue
                encrypted = self._cipher.encrypt(secret, **place)
                renewed.append((row["id"], encrypted.data, encrypted.key_id))
            await conn.executemany(
                f"UPDATE {table.name} SET {table.secret} = $2, key_id = $3 WHERE id = $1",  # noqa: S608
                renewed,
            )
        last = rows[-1]["id"] if len(rows) == size else None
        return Batch(len(renewed), tuple(unreadable)), last
