"""A catalog with something in it, and ways to look at it from outside."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from catalog import Catalog
from catalog.changes import CHANNEL, Changes
from catalog.connections import Connection
from catalog.encryption.cipher import CredentialCipher
from catalog.rules import Rule
from delivery.rule import MatchRequest
from destinations import registry
from emitonce.ids import Hashes
from tests.conftest import psql
from tests.integration.stack import eventually

CIPHER = CredentialCipher({"k1": b"1" * 32})
HASHES = Hashes(b"s" * 32)
METADATA = {"action": "track_event"}


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Catalog]:
    catalog = await Catalog.open(dsn, CIPHER, HASHES, registry)
    try:
        yield catalog
    finally:
        await catalog.close()


class Announced(Changes):
    """Changes come from `announce` alone; whether they are heard is set."""

    def __init__(self) -> None:
        async def never() -> None:
            raise AssertionError("nothing connects here")

        super().__init__(never)
        self._hearing = True

    def set_hearing(self, hearing: bool) -> None:
        self._hearing = hearing


@dataclass
class Tenant:
    """An organization with one workspace and one connection."""

    catalog: Catalog
    organization: str
    workspace: str
    connection: Connection

    @classmethod
    async def create(cls, catalog: Catalog, name: str = "Acme") -> Tenant:
        organization = (await catalog.organizations.create(name)).id
        workspace = (await catalog.workspaces.create(organization, name=f"{name} app")).id
        connection = await catalog.connections.create(
            organization,
            workspace=workspace,
            name="Customer io",
            type="customer_io",
            fields={"region": "us", "cdpApiKey": "cdp-key-1"},
            created_by="test",
        )
        return cls(catalog, organization, workspace, connection)

    async def rule(self, event: str = "user.signup", **fields: Any) -> Rule:
        values: dict[str, Any] = {"metadata": METADATA, "created_by": "test"} | fields
        return await self.catalog.rules.create(
            self.organization,
            workspace=self.workspace,
            connection=self.connection.id,
            event=event,
            **values,
        )

    async def matched(self, event: str = "user.signup", **fields: Any) -> list[str]:
        values: dict[str, Any] = {"resource": "global"} | fields
        result = await self.catalog.rule_lookup.match(
            MatchRequest(workspace=self.workspace, event=event, **values)
        )
        return [rule.id for rule in result.rules]


async def all_changes_heard(catalog: Catalog, dsn: str) -> None:
    """Wait until the catalog has heard what was written so far: notifications come in order."""
    last, heard = f"last {uuid.uuid4()}", asyncio.Event()
    catalog.changes.subscribe(lambda what: heard.set() if what == last else None)
    async with psql(dsn) as writer:

        async def arrived() -> bool:  # said again, should nobody have listened just then
            await writer.execute(f"NOTIFY {CHANNEL}, '{last}'")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), 1)
            return heard.is_set()

        await eventually(arrived)
