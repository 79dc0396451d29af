"""The lists of event types and resources that a workspace's rules name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from catalog.database import Connection, Pool, Record, connection
from catalog.ownership import own_workspace

LARGEST_LIST = 10_000


@dataclass(frozen=True)
class UsedName:
    id: str
    key: str
    label: str
    description: str | None
    active: bool
    created_by: str | None
    created_at: datetime
    updated_at: datetime


class UsedNames:
    """Event types, or resources. A rule for any resource names none.

    An entry is made with the first rule that names it, and stays after that is deleted.
    """

    def __init__(self, pool: Pool, table: Literal["event_types", "resources"]) -> None:
        self._pool = pool
        self._entries = f"SELECT * FROM {table} WHERE workspace_id = $1 ORDER BY key LIMIT $2"  # noqa: S608

    async def list(self, organization: str, workspace: str) -> list[UsedName]:
        """List entries by key. Raises `NotFound` if the workspace isn't the organization's."""
        async with connection(self._pool) as conn:
            id = await own_workspace(conn, organization, workspace)
            rows = await conn.fetch(self._entries, id, LARGEST_LIST)
        return [_entry(row) for row in rows]


async def remember_names(
    conn: Connection, workspace: UUID, *, event: str, resource: str | None, created_by: str
) -> None:
    """Insert what a new rule names, in that rule's transaction."""
    for table, key in (("event_types", event), ("resources", resource)):
        if key is not None:
            await conn.execute(
                f"INSERT INTO {table} (workspace_id, key, label, created_by) "  # noqa: S608
                "VALUES ($1, $2, $2, $3) ON CONFLICT (workspace_id, key) DO NOTHING",
                workspace,
                key,
                created_by,
            )


def _entry(row: Record) -> UsedName:
    return UsedName(
        id=str(row["id"]),
        key=row["key"],
        label=row["label"],
        description=row["description"],
        active=row["active"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
