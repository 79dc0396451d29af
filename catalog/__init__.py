"""The catalog, in PostgreSQL: who owns what, where events go, and with which credentials."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.alert_targets import AlertTargets
from catalog.api_key_lookup import GRACE_SECONDS, APIKeyLookup
from catalog.audit import Audit
from catalog.changes import Changes
from catalog.connections import Connections
from catalog.console_sessions import ConsoleSessions
from catalog.credentials import ConnectionLookup
from catalog.database import Pool, close_pool, open_connection, open_pool
from catalog.destinations import Destinations
from catalog.embed_sessions import EmbedSessions
from catalog.encryption.cipher import CredentialCipher
from catalog.encryption.keys_in_use import KeysInUse
from catalog.errors import SchemaMismatch
from catalog.event_types import UsedNames
from catalog.machine_keys import MachineKeys
from catalog.mappings import Mappings
from catalog.migrate import pending
from catalog.organizations import Organizations
from catalog.publishable_keys import PublishableKeys
from catalog.quotas import Quotas
from catalog.rule_lookup import Hashes, RuleLookup
from catalog.rules import Rules
from catalog.traffic import ConnectionTraffic
from catalog.workers import Workers
from catalog.workspaces import Workspaces

__all__ = ["Catalog"]


@dataclass(frozen=True)
class Catalog:
    """All repositories on one pool, and the lookups for accepting and delivering events."""

    pool: Pool
    changes: Changes
    cipher: CredentialCipher
    organizations: Organizations
    workspaces: Workspaces
    connections: Connections
    rules: Rules
    mappings: Mappings
    event_types: UsedNames
    resources: UsedNames
    publishable_keys: PublishableKeys
    machine_keys: MachineKeys
    api_key_lookup: APIKeyLookup
    console_sessions: ConsoleSessions
    embed_sessions: EmbedSessions
    keys_in_use: KeysInUse
    rule_lookup: RuleLookup
    credentials: ConnectionLookup
    workers: Workers
    alert_targets: AlertTargets
    audit: Audit
    quotas: Quotas
    traffic: ConnectionTraffic

    @classmethod
    async def open(
        cls,
        dsn: str,
        cipher: CredentialCipher,
        hashes: Hashes,
        destinations: Destinations,
        *,
        max_connections: int = 10,
        key_grace_seconds: float = GRACE_SECONDS,
    ) -> Catalog:
        """Connect to a migrated database and start to listen for changes.

        Raises:
            CatalogUnavailable: the database can't be reached.
            SchemaMismatch: it isn't migrated, or doesn't belong to this code.
        """
        pool = await open_pool(dsn, max_size=max_connections)
        changes = Changes(lambda: open_connection(dsn))
        try:
            missing = await pending(pool)
            if missing:
                raise SchemaMismatch(
                    f"the database lacks {', '.join(missing)}: migrate it with the command "
                    "`emitonce migrate`"
                )
            await changes.start()
        except BaseException:
            await changes.stop()
            await close_pool(pool)
            raise
        return cls(
            pool=pool,
            changes=changes,
            cipher=cipher,
            organizations=Organizations(pool),
            workspaces=Workspaces(pool, changes),
            connections=Connections(pool, changes, cipher, destinations),
            rules=Rules(pool, changes, destinations),
            mappings=Mappings(pool, changes),
            event_types=UsedNames(pool, "event_types"),
            resources=UsedNames(pool, "resources"),
            publishable_keys=PublishableKeys(pool, changes),
            machine_keys=MachineKeys(pool, changes, cipher),
            api_key_lookup=APIKeyLookup(pool, changes, cipher, grace_seconds=key_grace_seconds),
            console_sessions=ConsoleSessions(pool),
            embed_sessions=EmbedSessions(pool),
            keys_in_use=KeysInUse(pool),
            rule_lookup=RuleLookup(pool, changes, hashes),
            credentials=ConnectionLookup(pool, changes, cipher, destinations),
            workers=Workers(pool, destinations),
            alert_targets=AlertTargets(pool, cipher),
            audit=Audit(pool),
            quotas=Quotas(pool, changes),
            traffic=ConnectionTraffic(pool),
        )

    async def close(self) -> None:
        await self.changes.stop()
        await close_pool(self.pool)
