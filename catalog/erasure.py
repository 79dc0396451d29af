"""Erase a workspace: everything that the catalog holds of it, in one transaction."""

from __future__ import annotations

from catalog.api_keys import KEYS
from catalog.changes import Changes
from catalog.database import Pool, transaction
from catalog.ownership import own_workspace

# Each before what it refers to.
TABLES = (
    "rules",
    "mappings",
    "connections",
    "event_types",
    "resources",
    "publishable_keys",
    "embed_sessions",
)


async def erase_workspace(
    pool: Pool, changes: Changes, organization: str, workspace: str
) -> dict[str, int]:
    """Delete it and all that it owns; return how many rows of each table there were.

    Events that arrive from then on are refused: the workspace is unknown.

    Raises:
        NotFound: no such workspace, or another organization's.
    """
    rows: dict[str, int] = {}
    async with transaction(pool) as conn:
        # Locked against a connection or rule that is being created in it.
        id = await own_workspace(conn, organization, workspace, locked=True)
        for table in TABLES:
            deleted = await conn.execute(
                f"DELETE FROM {table} WHERE workspace_id = $1",  # noqa: S608  our own names
                id,
            )
            rows[table] = int(deleted.rpartition(" ")[2])
        await conn.execute("DELETE FROM workspaces WHERE id = $1", id)
        rows["workspaces"] = 1
    changes.announce(str(id))
    changes.announce(KEYS)
    return rows
