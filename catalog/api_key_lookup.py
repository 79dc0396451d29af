"""Look up an API key and what its holder owns, from a cache that is read again after a change.

While the database is unavailable, what was last known is enough to emit events.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import SecretStr

from catalog import values
from catalog.api_key_rights import KeyRights, rights_of
from catalog.api_key_uses import APIKeyUses
from catalog.api_keys import KEYS, hash_of, scopes_of
from catalog.changes import Changes
from catalog.database import Pool, fetchrow
from catalog.encryption.cipher import CredentialCipher, Encrypted
from catalog.errors import CatalogUnavailable, NotFound
from catalog.last_known import LastKnown
from catalog.ownership import found
from catalog.quotas import Quota, quota_of
from catalog.scopes import ALL

CAPACITY = 10_000  # keys of each kind, and workspaces

# How long keys are good for emitting events while the database is unavailable.
GRACE_SECONDS = 600.0


# The database's clock, the same for all, says how long older API processes may still run.
_PUBLISHABLE = """
    SELECT k.*, coalesce(k.namespace, k.id) AS own_namespace,
        ARRAY(
            SELECT o.id FROM publishable_keys o
            WHERE o.workspace_id = k.workspace_id
              AND coalesce(o.namespace, o.id) = coalesce(k.namespace, k.id)
        ) AS sharing,
        (
            SELECT extract(epoch FROM max(runs_until) - clock_timestamp())::float8 FROM older_api
            WHERE lacks = 'sources'
        ) AS older_api_seconds
    FROM publishable_keys k
    WHERE k.public_key = $1 AND k.revoked_at IS NULL
"""

# The longest that Temporal Cloud keeps events; what is older can't be found again anyway.
LONGEST_RETENTION_SECONDS = 90 * 86_400.0


@dataclass(frozen=True)
class PublishableCaller:
    """Whoever holds a publishable key: may emit into `workspace` what the `rights` allow.

    `key` is the key's id. Its idempotency keys belong to `namespace`, as do those of all keys in
    `sharing`. `older_api_until`, by the monotonic clock, is when the last API process that doesn't
    know namespaces has ended; None if there never was one. `quota` is the key's own.
    """

    key: str
    workspace: str
    namespace: str
    sharing: frozenset[str]
    rights: KeyRights
    older_api_until: float | None = None
    quota: Quota = field(default_factory=Quota)

    def may_meet_older_api(self) -> bool:
        """Say whether a process that doesn't know namespaces may answer the same request."""
        return self.older_api_until is not None and time.monotonic() < self.older_api_until

    def may_find_older_events(self) -> bool:
        """Say whether events that such a process has started may still be kept."""
        return (
            self.older_api_until is not None
            and time.monotonic() < self.older_api_until + LONGEST_RETENTION_SECONDS
        )


@dataclass(frozen=True)
class MachineCaller:
    """The holder of a machine key, who may do in `organization` what its `scopes` allow, once the
    secret or the token was checked. One of `secret_key` and `token_hash` is None.

    `quota` is the key's own.
    """

    key: str
    organization: str
    secret_key: SecretStr | None
    token_hash: bytes | None = None
    scopes: frozenset[str] = ALL
    expires_at: datetime | None = None
    quota: Quota = field(default_factory=Quota)

    def proved_by(self, shown: str) -> bool:
        """Whether `shown` is the secret, or the token; found out in constant time."""
        if self.secret_key is None:
            return hmac.compare_digest(self.token_hash or b"", hash_of(shown))
        return hmac.compare_digest(self.secret_key.get_secret_value().encode(), shown.encode())


class APIKeyLookup:
    """Keys that don't exist are not cached, so that made-up keys can't push real ones out.

    `unchecked` accepts what was true in the last `grace_seconds` while the database is unavailable:
    enough to emit events, and for nothing else.
    """

    def __init__(
        self,
        pool: Pool,
        changes: Changes,
        cipher: CredentialCipher,
        *,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self.uses = APIKeyUses(pool)
        self._pool = pool
        self._cipher = cipher
        self._publishable: LastKnown[PublishableCaller] = LastKnown(
            changes, self._read_publishable, capacity=CAPACITY, seconds=grace_seconds
        )
        self._machine: LastKnown[MachineCaller] = LastKnown(
            changes, self._read_machine, capacity=CAPACITY, seconds=grace_seconds
        )
        # The organization that each workspace belongs to, and its quota.
        self._workspaces: LastKnown[tuple[str, Quota]] = LastKnown(
            changes, self._read_workspace, capacity=CAPACITY, seconds=grace_seconds
        )

    async def publishable(self, public_key: str) -> PublishableCaller:
        """Return the caller, `unchecked`. Raises `NotFound` for an unknown or revoked key."""
        return await self._publishable.get(KEYS, public_key, unchecked=True)

    async def machine(self, access_key: str, *, unchecked: bool = False) -> MachineCaller:
        """Raises `NotFound` for a key that is unknown, revoked or expired, and `CannotDecrypt`."""
        caller = await self._machine.get(KEYS, access_key, unchecked=unchecked)
        if caller.expires_at is not None and caller.expires_at <= datetime.now(UTC):
            raise NotFound("access key", "")
        return caller

    async def require_workspace(
        self, organization: str, workspace: str, *, unchecked: bool = False
    ) -> str:
        """Return the workspace's id in lower case.

        Raises:
            NotFound: it isn't the organization's.
        """
        id = str(values.known_id("workspace", workspace))
        owner, _ = await self._workspaces.get(id, id, unchecked=unchecked)
        if owner != organization:
            raise NotFound("workspace", workspace)
        return id

    async def quota_of_workspace(self, workspace: str) -> Quota:
        """Return the workspace's own quota; an empty one while it can't be read."""
        try:
            _, quota = await self._workspaces.get(workspace, workspace, unchecked=True)
            return quota
        except (CatalogUnavailable, NotFound):
            return Quota()

    def usable_for(self) -> float:
        """Return for how many seconds from now any key could emit without the database."""
        return max(self._publishable.usable_for(), self._machine.usable_for())

    async def settled(self) -> None:
        """Wait until all that has changed was read again."""
        await asyncio.gather(
            self._publishable.settled(), self._machine.settled(), self._workspaces.settled()
        )

    async def _read_publishable(self, public_key: str) -> PublishableCaller:
        row = found(await fetchrow(self._pool, _PUBLISHABLE, public_key), "publishable key", "")
        seconds = row["older_api_seconds"]
        return PublishableCaller(
            key=str(row["id"]),
            workspace=str(row["workspace_id"]),
            namespace=str(row["own_namespace"]),
            sharing=frozenset(map(str, row["sharing"])),
            rights=rights_of(row),
            older_api_until=None if seconds is None else time.monotonic() + seconds,
            quota=quota_of(row),
        )

    async def _read_machine(self, access_key: str) -> MachineCaller:
        query = "SELECT * FROM machine_keys WHERE access_key = $1 AND revoked_at IS NULL"
        row = found(await fetchrow(self._pool, query, access_key), "access key", "")
        id, organization = str(row["id"]), str(row["organisation_id"])
        return MachineCaller(
            key=id,
            organization=organization,
            secret_key=None
            if row["token_hash"] is not None
            else self._cipher.decrypt(
                Encrypted(row["key_id"], row["encrypted_secret"]),
                workspace=organization,
                connection=id,
            ),
            token_hash=row["token_hash"],
            scopes=scopes_of(row),
            expires_at=row["expires_at"],
            quota=quota_of(row),
        )

    async def _read_workspace(self, workspace: str) -> tuple[str, Quota]:
        stored = await fetchrow(self._pool, "SELECT * FROM workspaces WHERE id = $1", workspace)
        row = found(stored, "workspace", workspace)
        return str(row["organisation_id"]), quota_of(row)
