"""Where alerts are posted: one target for the whole installation, stored encrypted."""

from __future__ import annotations

import json
from uuid import UUID

from pydantic import SecretStr

from catalog.database import Pool, execute, fetchrow
from catalog.encryption.cipher import CredentialCipher, Encrypted
from delivery.alert import AlertTarget

# There is at most one target. Its row's id is also what its encryption is bound to.
_ID = UUID(int=1)
_PLACE = {"workspace": str(_ID), "connection": str(_ID)}


class AlertTargets:
    def __init__(self, pool: Pool, cipher: CredentialCipher) -> None:
        self._pool = pool
        self._cipher = cipher

    async def get(self) -> AlertTarget | None:
        """Read it from the database.

        Raises:
            CannotDecrypt: the key ring lacks its key.
            CatalogUnavailable: the database is unavailable.
        """
        row = await fetchrow(self._pool, "SELECT * FROM alert_targets WHERE id = $1", _ID)
        if row is None:
            return None
        stored = Encrypted(row["key_id"], row["encrypted_target"])
        values = json.loads(self._cipher.decrypt(stored, **_PLACE).get_secret_value())
        heartbeat = values.get("heartbeat_url")
        return AlertTarget(
            url=SecretStr(values["url"]),
            secret=SecretStr(values["secret"]),
            heartbeat_url=SecretStr(heartbeat) if heartbeat else None,
            format="slack" if values.get("format") == "slack" else "signed",
        )

    async def set(self, target: AlertTarget) -> None:
        """Store it in place of the former one."""
        heartbeat = target.heartbeat_url
        values = {
            "url": target.url.get_secret_value(),
            "secret": target.secret.get_secret_value(),
            "heartbeat_url": heartbeat.get_secret_value() if heartbeat else None,
            "format": target.format,
        }
        encrypted = self._cipher.encrypt(SecretStr(json.dumps(values)), **_PLACE)
        await execute(
            self._pool,
            """
            INSERT INTO alert_targets (id, encrypted_target, key_id) VALUES ($1, $2, $3)
            ON CONFLICT (id) DO UPDATE SET
                encrypted_target = excluded.encrypted_target,
                key_id = excluded.key_id,
                updated_at = clock_timestamp()
            """,
            _ID,
            encrypted.data,
            encrypted.key_id,
        )

    async def remove(self) -> bool:
        """Delete it; False when none is stored."""
        removed = await execute(self._pool, "DELETE FROM alert_targets WHERE id = $1", _ID)
        return removed != "DELETE 0"
