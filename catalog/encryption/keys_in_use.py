"""Record which keys encrypt, and which running processes hold which keys.

A new key reaches every process first and is put to use afterwards, so that what one process
encrypts every other can decrypt. The record refuses a key that a running process lacks.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from catalog.database import Connection, Pool, connection, execute, transaction
from catalog.encryption.stored_secrets import SECRETS
from catalog.errors import CatalogError, Conflict
from emitonce.key_ring import KeyRing

Kind = Literal["credential", "payload"]
KINDS: tuple[Kind, ...] = ("credential", "payload")

SETTING: Mapping[Kind, str] = {
    "credential": "EMITONCE_CREDENTIAL_KEYS",
    "payload": "EMITONCE_PAYLOAD_KEYS",
}

Rings = Mapping[Kind, KeyRing]

# What the database announces, in place of a workspace, when another key is put to use.
KEYS_IN_USE = "keys in use"

# A process that has not reported for this long has ended.
ALIVE_SECONDS = 60.0

# An event is under way for 72 hours at most and kept for 30 days more; a day is for slow clocks.
PAYLOAD_KEY_NEEDED = timedelta(days=34)

_LOCK = 7_166_480_114  # a constant of our own: whoever holds it may change which keys are in use


@dataclass(frozen=True)
class KeyInUse:
    """`since` is when it was put to use. A former key is needed while something is, or may be,
    encrypted with it.
    """

    key_id: str
    check_value: str
    since: datetime
    state: Literal["in use", "former", "not needed"]


@dataclass(frozen=True)
class Holder:
    """A running process. `keys` are check values by id, `encrypts_with` ids; both by kind."""

    role: str
    host: str
    pid: int
    keys: Mapping[Kind, Mapping[str, str]]
    encrypts_with: Mapping[Kind, str | None]

    def __str__(self) -> str:
        return f"{self.role} (host {self.host}, process {self.pid})"


class KeyNotEverywhere(Conflict):
    """A running process lacks the key. The message names each that does."""

    def __init__(self, kind: Kind, key_id: str, lacking: Iterable[Holder]) -> None:
        names = ", ".join(sorted(str(holder) for holder in lacking))
        super().__init__(
            f"the {kind} key {key_id!r} can't be used yet: it has not reached {names}. "
            f"Add it to their {SETTING[kind]} beside the present one and restart them"
        )


class WrongKeys(CatalogError):
    """This process lacks a key that is needed, or has another of the same id."""


class KeysInUse:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def of(self, kind: Kind) -> list[KeyInUse]:
        """List the keys, newest first: the first encrypts, the others did before."""
        async with connection(self._pool) as conn:
            return await _in_use(conn, kind)

    async def settle(self, rings: Rings) -> None:
        """Let each ring encrypt with the key in use, except rings that never encrypt.

        Raises:
            WrongKeys: a ring lacks a key that is needed, or has another of the same id.
        """
        for kind, ring in rings.items():
            used = await self.of(kind)
            for key in used:
                if key.state != "not needed":
                    _require(kind, key, ring.check_values.get(key.key_id))
            if used and ring.current is not None:
                ring.use(used[0].key_id)

    async def put_to_use(self, kind: Kind, key_id: str, check_value: str) -> bool:
        """Let every process encrypt with this key; False if it is already in use.

        Raises:
            KeyNotEverywhere: a running process lacks it.
            Conflict: another key is known by this id.
        """
        async with transaction(self._pool) as conn:
            await conn.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            used = await _in_use(conn, kind)
            if any(key.key_id == key_id and key.check_value != check_value for key in used):
                raise Conflict(f"another {kind} key was used as {key_id!r}: give it a new id")
            if used and used[0].key_id == key_id:
                return False
            holders = await _holders(conn)
            lacking = [one for one in holders if one.keys[kind].get(key_id) != check_value]
            if lacking:
                raise KeyNotEverywhere(kind, key_id, lacking)
            await _put_to_use(conn, kind, key_id, check_value)
            return True

    async def report(self, process: uuid.UUID, role: str, rings: Rings) -> None:
        """Record that a process runs, and its keys. The first process to report uses its own.

        A process that reports and then settles either was counted by `put_to_use` or sees the new
        key. `role` names the process to people: `worker`, `api`.
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
                process,
                role,
                socket.gethostname(),
                os.getpid(),
                *(
                    [f"{key_id}:{check}" for key_id, check in rings[kind].check_values.items()]
                    for kind in KINDS
                ),
                *(rings[kind].current for kind in KINDS),
            )
            for kind, ring in rings.items():
                if ring.current is not None and not await _in_use(conn, kind):
                    check_value = ring.check_values[ring.current]
                    await _put_to_use(conn, kind, ring.current, check_value)

    async def leave(self, process: uuid.UUID) -> None:
        await execute(self._pool, "DELETE FROM key_holders WHERE process = $1", process)

    async def holders(self) -> list[Holder]:
        """List the running processes."""
        async with connection(self._pool) as conn:
            return await _holders(conn)


def _require(kind: Kind, key: KeyInUse, held: str | None) -> None:
    if held is None:
        raise WrongKeys(
            f"this process lacks the {kind} key {key.key_id!r}, which has been in use since "
            f"{key.since:%Y-%m-%d %H:%M} UTC: add it to {SETTING[kind]}"
        )
    if held != key.check_value:
        raise WrongKeys(
            f"{SETTING[kind]}: the key {key.key_id!r} is not the one in use by that id: give this "
            "process the same key, or give the new one an id of its own"
        )


async def _in_use(conn: Connection, kind: Kind) -> list[KeyInUse]:
    rows = await conn.fetch(
        f"""
        SELECT key_id, check_value, since, CASE
            WHEN replaced_at IS NULL THEN 'in use'
            WHEN kind = 'payload' AND replaced_at > clock_timestamp() - $2::interval THEN 'former'
            WHEN kind = 'credential' AND key_id IN (SELECT key_id FROM ({SECRETS}) AS secrets)
                THEN 'former'
            ELSE 'not needed' END AS state
        FROM (
            SELECT *, lag(since) OVER (ORDER BY since DESC, key_id) AS replaced_at
            FROM keys_in_use WHERE kind = $1
        ) AS used ORDER BY since DESC, key_id
        """,  # noqa: S608 (a constant of our own)
        kind,
        PAYLOAD_KEY_NEEDED,
    )
    return [KeyInUse(**row) for row in rows]


async def _put_to_use(conn: Connection, kind: Kind, key_id: str, check_value: str) -> None:
    await conn.execute(
        """
        INSERT INTO keys_in_use (kind, key_id, check_value) VALUES ($1, $2, $3)
        ON CONFLICT (kind, key_id) DO UPDATE SET since = clock_timestamp()
        """,
        kind,
        key_id,
        check_value,
    )


async def _holders(conn: Connection) -> list[Holder]:
    rows = await conn.fetch(
        "SELECT * FROM key_holders WHERE seen_at > clock_timestamp() - $1 * interval '1 second' "
        "ORDER BY role, host, pid",
        ALIVE_SECONDS,
    )
    return [
        Holder(
            role=row["role"],
            host=row["host"],
            pid=row["pid"],
            keys={kind: dict(e.split(":", 1) for e in row[f"{kind}_keys"]) for kind in KINDS},
            encrypts_with={kind: row[f"sealing_{kind}"] for kind in KINDS},
        )
        for row in rows
    ]
