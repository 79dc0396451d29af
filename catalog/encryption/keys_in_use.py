"""Which keys encrypt, and which processes have them: a new key is used only once all have it."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from catalog.database import Connection, Pool, connection, transaction
from catalog.errors import Conflict

Kind = Literal["credential", "payload"]
KINDS: tuple[Kind, ...] = ("credential", "payload")

SETTING: Mapping[Kind, str] = {
    "credential": "EMITONCE_CREDENTIAL_KEYS",
    "payload": "EMITONCE_PAYLOAD_KEYS",
}

# What is announced, in place of a workspace, when another key is put to use.
KEYS_IN_USE = "keys in use"

# A process that has not been heard of for so long has ended.
ALIVE_SECONDS = 60.0

_LOCK = 7_166_480_114  # any constant of our own: who takes it decides about keys alone


@dataclass(frozen=True)
class KeyInUse:
    """A key that encrypts, or did before the one that is first in the list."""

    kind: Kind
    key_id: str
    check_value: str
    since: datetime


@dataclass(frozen=True)
class Holder:
    """A running process. Its keys are check values by id; `sealing` are ids by kind."""

    process: uuid.UUID
    role: str
    host: str
    pid: int
    keys: Mapping[Kind, Mapping[str, str]]
    sealing: Mapping[Kind, str | None]

    def __str__(self) -> str:
        return f"{self.role} (host {self.host}, process {self.pid})"


class KeyNotEverywhere(Conflict):
    """Some process lacks the key; the message names them."""

    def __init__(self, kind: Kind, key_id: str, lacking: Iterable[Holder]) -> None:
        names = ", ".join(sorted(str(holder) for holder in lacking))
        super().__init__(
            f"the {kind} key {key_id!r} can't be used yet: it has not reached {names}. "
            f"Add it to their {SETTING[kind]} beside the present one and restart them"
        )


@dataclass(frozen=True)
class StoredSecrets:
    """`count` secrets of one sort, encrypted with the credential key `key_id`."""

    what: str
    key_id: str
    count: int


class KeyUse:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def in_use(self, kind: Kind) -> list[KeyInUse]:
        """Newest first: the first encrypts, the others did before."""
        async with connection(self._pool) as conn:
            return await _in_use(conn, kind)

    async def begin(self, kind: Kind, key_id: str, check_value: str) -> bool:
        """Put a key to use; False when it is the one in use already.

        Raises:
            KeyNotEverywhere: a running process lacks it.
            Conflict: another key is known by this id.
        """
        async with transaction(self._pool) as conn:
            await conn.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            used = await _in_use(conn, kind)
            for key in used:
                if key.key_id == key_id and key.check_value != check_value:
                    raise Conflict(f"another {kind} key was used as {key_id!r}: give it a new id")
            if used and used[0].key_id == key_id:
                return False
            lacking = [
                holder
                for holder in await _holders(conn)
                if holder.keys[kind].get(key_id) != check_value
            ]
            if lacking:
                raise KeyNotEverywhere(kind, key_id, lacking)
            await conn.execute(
                """
                INSERT INTO keys_in_use (kind, key_id, check_value) VALUES ($1, $2, $3)
                ON CONFLICT (kind, key_id) DO UPDATE SET since = clock_timestamp()
                """,
                kind,
                key_id,
                check_value,
            )
            return True

    async def report(self, holder: Holder, first: Mapping[Kind, str | None]) -> None:
        """Say that a process runs and what it has; of a kind with no key in use, use its `first`.

        Whoever reports and then reads what is in use has either been counted by `begin`, or sees
        the new key.
        """
        async with transaction(self._pool) as conn:
            await conn.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await conn.execute(
                """
                INSERT INTO key_holders (process, role, host, pid, credential_keys, payload_keys,
                                         sealing_credential, sealing_payload)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                ON CONFLICT (process) DO UPDATE SET
                    sealing_credential = excluded.sealing_credential,
                    sealing_payload = excluded.sealing_payload,
                    seen_at = clock_timestamp()
                """,
                holder.process,
                holder.role,
                holder.host,
                holder.pid,
                _written(holder.keys["credential"]),
                _written(holder.keys["payload"]),
                holder.sealing["credential"],
                holder.sealing["payload"],
            )
            for kind, key_id in first.items():
                if key_id is not None and not await _in_use(conn, kind):
                    await conn.execute(
                        "INSERT INTO keys_in_use (kind, key_id, check_value) VALUES ($1, $2, $3)",
                        kind,
                        key_id,
                        holder.keys[kind][key_id],
                    )

    async def leave(self, process: uuid.UUID) -> None:
        async with connection(self._pool) as conn:
            await conn.execute("DELETE FROM key_holders WHERE process = $1", process)

    async def holders(self) -> list[Holder]:
        """The processes that run."""
        async with connection(self._pool) as conn:
            return await _holders(conn)

    async def credentials_by_key(self) -> dict[str, int]:
        """How many stored secrets each credential key is needed for."""
        counts: Counter[str] = Counter()
        for stored in await self.stored_secrets():
            counts[stored.key_id] += stored.count
        return dict(counts)

    async def stored_secrets(self) -> list[StoredSecrets]:
        """What credential keys are needed for, by what it is and then by key."""
        async with connection(self._pool) as conn:
            rows = await conn.fetch(
                """
                SELECT what, key_id, count(*) AS count FROM (
                    SELECT 'Customer.io keys' AS what, key_id FROM connections
                    UNION ALL SELECT 'alert targets', key_id FROM alert_targets
                    UNION ALL SELECT 'machine keys', key_id FROM machine_keys
                        WHERE key_id IS NOT NULL
                ) AS stored GROUP BY what, key_id ORDER BY what COLLATE "C", key_id
                """
            )
        return [StoredSecrets(row["what"], row["key_id"], row["count"]) for row in rows]


async def _in_use(conn: Connection, kind: Kind) -> list[KeyInUse]:
    rows = await conn.fetch(
        "SELECT * FROM keys_in_use WHERE kind = $1 ORDER BY since DESC, key_id", kind
    )
    return [KeyInUse(kind, row["key_id"], row["check_value"], row["since"]) for row in rows]


async def _holders(conn: Connection) -> list[Holder]:
    rows = await conn.fetch(
        "SELECT * FROM key_holders WHERE seen_at > clock_timestamp() - $1 * interval '1 second' "
        "ORDER BY role, host, pid",
        ALIVE_SECONDS,
    )
    return [
        Holder(
            process=row["process"],
            role=row["role"],
            host=row["host"],
            pid=row["pid"],
            keys={
                "credential": _read(row["credential_keys"]),
                "payload": _read(row["payload_keys"]),
            },
            sealing={
                "credential": row["sealing_credential"],
                "payload": row["sealing_payload"],
            },
        )
        for row in rows
    ]


def _written(keys: Mapping[str, str]) -> list[str]:
    return [f"{key_id}:{check}" for key_id, check in keys.items()]


def _read(written: Iterable[str]) -> dict[str, str]:
    return dict(entry.split(":", 1) for entry in written)
