"""The catalogue of event types and resources that a workspace's rules speak of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from catalog import values
from catalog.database import Connection, Pool, Record, connection
from catalog.errors import NotFound

LARGEST_LIST = 10_000


@dataclass(frozen=True)
class CatalogueEntry:
    id: str
    key: str
    label: str
    description: str | None
    active: bool
    created_by: str | None
    created_at: datetime
    updated_at: datetime


class EventTypes:
    """Entries come into being with the first rule that names them, and stay when it goes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list(self, organisation: str, workspace: str) -> list[CatalogueEntry]:
        """By key. Raises `NotFound` for a workspace that isn't the organisation's."""
        return await _list(
            self._pool,
            "SELECT * FROM event_types WHERE workspace_id = $1 ORDER BY key LIMIT $2",
            organisation,
            workspace,
        )


class Resources:
    """As `EventTypes`; a rule for any resource names none."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list(self, organisation: str, workspace: str) -> list[CatalogueEntry]:
        """By key. Raises `NotFound` for a workspace that isn't the organisation's."""
        return await _list(
            self._pool,
            "SELECT * FROM resources WHERE workspace_id = $1 ORDER BY key LIMIT $2",
            organisation,
            workspace,
        )


async def remember_names(
    conn: Connection, workspace: UUID, *, event: str, resource: str | None, created_by: str
) -> None:
    """Enter what a new rule names, in that rule's transaction."""
    await conn.execute(
        "INSERT INTO event_types (workspace_id, key, label, created_by) VALUES ($1, $2, $2, $3) "
        "ON CONFLICT (workspace_id, key) DO NOTHING",
        workspace,
        event,
        created_by,
    )
    if resource is not None:
        await conn.execute(
            "INSERT INTO resources (workspace_id, key, label, created_by) VALUES ($1, $2, $2, $3) "
            "ON CONFLICT (workspace_id, key) DO NOTHING",
            workspace,
            resource,
            created_by,
        )


async def _list(
    pool: Pool, entries_of: str, organisation: str, workspace: str
) -> list[CatalogueEntry]:
    owner = values.known_id("organisation", organisation)
    id = values.known_id("workspace", workspace)
    async with connection(pool) as conn:
        known = await conn.fetchval(
            "SELECT true FROM workspaces WHERE id = $1 AND organisation_id = $2", id, owner
        )
        if not known:
            raise NotFound("workspace", workspace)
        rows = await conn.fetch(entries_of, id, LARGEST_LIST)
    return [_entry(row) for row in rows]


def _entry(row: Record) -> CatalogueEntry:
    return CatalogueEntry(
        id=str(row["id"]),
        key=row["key"],
        label=row["label"],
        description=row["description"],
        active=row["active"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
