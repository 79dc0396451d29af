"""Count what is encrypted with each credential key, and encrypt it again under the one in use."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from catalog.database import Pool, fetch, transaction
from catalog.encryption.cipher import CredentialCipher, Encrypted
from catalog.errors import CannotDecrypt

BATCH = 100

_FIRST = UUID(int=0)


@dataclass(frozen=True)
class _Table:
    """A table with secrets; each is bound to the ids of its owner and of its own row."""

    name: str
    secret: str
    owner: str
    noun: str


_TABLES = (
    _Table("connections", "encrypted_key", "workspace_id", "connection"),
    _Table("machine_keys", "encrypted_secret", "organisation_id", "machine key"),
    _Table("alert_targets", "encrypted_target", "id", "alert target"),
)

# A query of what is stored now; a revoked machine key has neither secret nor key_id.
SECRETS = " UNION ALL ".join(
    f"SELECT '{table.noun}s' AS what, key_id FROM {table.name} WHERE key_id IS NOT NULL"  # noqa: S608
    for table in _TABLES
)


@dataclass(frozen=True)
class Batch:
    """What one transaction did. `unreadable` names rows that no key of the ring decrypts."""

    done: int
    unreadable: tuple[str, ...]


class StoredSecrets:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def by_key(self) -> dict[str, Counter[str]]:
        """Count the secrets of each kind for which a credential key is needed, by the key's id."""
        rows = await fetch(
            self._pool,
            f"SELECT what, key_id, count(*) AS count FROM ({SECRETS}) AS secrets "  # noqa: S608
            'GROUP BY what, key_id ORDER BY what COLLATE "C", key_id',
        )
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for row in rows:
            found[row["key_id"]][row["what"]] = row["count"]
        return dict(found)

    async def reencrypt(
        self, cipher: CredentialCipher, *, batch: int = BATCH
    ) -> AsyncIterator[Batch]:
        """Encrypt with the cipher's current key whatever another key has encrypted, in batches.

        Can be stopped at any time and run again. A delivery that reads a credential meanwhile gets
        the old or the new form, and decrypts either.
        """
        for table in _TABLES:
            after: UUID | None = _FIRST
            while after is not None:
                done, after = await self._batch(cipher, table, after, batch)
                yield done

    async def _batch(
        self, cipher: CredentialCipher, table: _Table, after: UUID, size: int
    ) -> tuple[Batch, UUID | None]:
        async with transaction(self._pool) as conn:
            # The names are our own constants. Locked, so that a key replaced just now isn't undone.
            rows = await conn.fetch(
                f"SELECT id, {table.owner} AS owner, key_id, {table.secret} AS secret "  # noqa: S608
                f"FROM {table.name} WHERE key_id <> $1 AND id > $2 "
                "ORDER BY id LIMIT $3 FOR UPDATE",
                cipher.ring.current,
                after,
                size,
            )
            renewed, unreadable = [], []
            for row in rows:
                place = {"workspace": str(row["owner"]), "connection": str(row["id"])}
                try:
                    secret = cipher.decrypt(Encrypted(row["key_id"], row["secret"]), **place)
                except CannotDecrypt:
                    unreadable.append(f"{table.noun} {row['id']}")
                    continue
                encrypted = cipher.encrypt(secret, **place)
                renewed.append((row["id"], encrypted.data, encrypted.key_id))
            await conn.executemany(
                f"UPDATE {table.name} SET {table.secret} = $2, key_id = $3 WHERE id = $1",  # noqa: S608
                renewed,
            )
        last = rows[-1]["id"] if len(rows) == size else None
        return Batch(len(renewed), tuple(unreadable)), last
