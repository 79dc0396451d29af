"""Check who owns what: what belongs to another organization is not found, as if it didn't exist."""

from __future__ import annotations

from uuid import UUID

from catalog.database import Connection, Record
from catalog.errors import NotFound
from catalog.values import known_id

OWNED_CONNECTION = """
    SELECT c.* FROM connections c JOIN workspaces w ON w.id = c.workspace_id
    WHERE c.id = $1 AND w.organisation_id = $2
"""


def owned_ids(noun: str, id: str, organization: str) -> tuple[UUID, UUID]:
    """Return the parameters of a query for something of an organization. Raises `NotFound`."""
    return known_id(noun, id), known_id("organization", organization)


def found(row: Record | None, noun: str, id: str) -> Record:
    """Return the row that a query for an id has found. Raises `NotFound` if there was none."""
    if row is None:
        raise NotFound(noun, id)
    return row


async def own_workspace(
    conn: Connection, organization: str, workspace: str, *, locked: bool = False
) -> UUID:
    """Return the id of an organization's workspace, `locked` until the transaction ends.

    Raises:
        NotFound: no such workspace, or another organization's.
    """
    query = "SELECT id FROM workspaces WHERE id = $1 AND organisation_id = $2"
    ids = owned_ids("workspace", workspace, organization)
    row = await conn.fetchrow(query + (" FOR UPDATE" if locked else ""), *ids)
    id: UUID = found(row, "workspace", workspace)["id"]
    return id


async def own_connection(conn: Connection, organization: str, id: str) -> Record:
    """Return an organization's connection, locked until the transaction ends. Raises `NotFound`."""
    ids = owned_ids("connection", id, organization)
    return found(await conn.fetchrow(OWNED_CONNECTION + "FOR UPDATE OF c", *ids), "connection", id)
