"""Change connections, mappings and rules in one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from catalog import Catalog
from catalog.changes import Changes
from catalog.connections import Connections
from catalog.database import Connection, transaction
from catalog.destinations import Destinations
from catalog.mappings import Mappings
from catalog.ownership import own_workspace
from catalog.rules import Rules


@dataclass(frozen=True)
class Writing:
    """Repositories that read what the transaction has written so far."""

    connections: Connections
    mappings: Mappings
    rules: Rules


@asynccontextmanager
async def all_or_nothing(
    catalog: Catalog, destinations: Destinations, organization: str, workspaces: Iterable[str]
) -> AsyncIterator[Writing]:
    """Commit everything at the end, or nothing on any error. Locks the workspaces until then.

    Raises:
        NotFound: a workspace isn't the organization's.
    """
    ids = sorted(workspaces)
    async with transaction(catalog.pool) as conn:
        for workspace in ids:
            await own_workspace(conn, organization, workspace, locked=True)
        only, unheard = _OnlyConnection(conn), Changes(_never)
        yield Writing(
            Connections(only, unheard, catalog.cipher, destinations),
            Mappings(only, unheard),
            Rules(only, unheard, destinations),
        )
    for workspace in ids:
        catalog.changes.announce(workspace)


class _OnlyConnection:
    """A pool of one connection, so that a repository's own transactions are savepoints."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    @asynccontextmanager
    async def acquire(self, *, timeout: float) -> AsyncIterator[Connection]:
        yield self._conn


async def _never() -> Connection:
    raise AssertionError("nobody listens here")
