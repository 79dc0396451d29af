"""Workspaces: nothing in one can see, reach or deliver to anything in another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from catalog import values
from catalog.changes import Changes
from catalog.database import (
    ForeignKeyViolation,
    Pool,
    Record,
    UniqueViolation,
    fetch,
    fetchrow,
    transaction,
)
from catalog.errors import Conflict, NotFound
from catalog.ownership import found, owned_ids
from catalog.paging import DEFAULT_LIMIT, Page, Paging
from catalog.publishable_keys import insert_publishable_key

DESCRIPTION_CHARACTERS = 1024
FIRST_KEY = "Default"  # the name of the publishable key that every workspace starts with


@dataclass(frozen=True)
class Workspace:
    id: str
    organization: str
    name: str
    description: str | None
    created_at: datetime
    updated_at: datetime


class Workspaces:
    """Methods find only what belongs to the organization; for all else they raise `NotFound`."""

    def __init__(self, pool: Pool, changes: Changes) -> None:
        self._pool = pool
        self._changes = changes

    async def create(
        self,
        organization: str,
        *,
        name: str,
        description: str | None = None,
        created_by: str = "emitonce",
    ) -> Workspace:
        """Make a workspace and its first publishable key.

        Raises:
            Conflict: the organization has a workspace of this name.
        """
        owner = values.known_id("organization", organization)
        name, description = values.workspace_name(name), _description(description)
        created_by = values.created_by(created_by)
        try:
            async with transaction(self._pool) as conn:
                row = await conn.fetchrow(
                    "INSERT INTO workspaces (organisation_id, name, description) "
                    "VALUES ($1, $2, $3) RETURNING *",
                    owner,
                    name,
                    description,
                )
                await insert_publishable_key(conn, row["id"], name=FIRST_KEY, created_by=created_by)
        except UniqueViolation:
            raise _name_taken(name) from None
        except ForeignKeyViolation:
            raise NotFound("organization", organization) from None
        workspace = _workspace(row)
        self._changes.announce(workspace.id)
        return workspace

    async def get(self, organization: str, workspace: str) -> Workspace:
        ids = owned_ids("workspace", workspace, organization)
        row = await fetchrow(
            self._pool, "SELECT * FROM workspaces WHERE id = $1 AND organisation_id = $2", *ids
        )
        return _workspace(found(row, "workspace", workspace))

    async def list(
        self, organization: str, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[Workspace]:
        owner = values.known_id("organization", organization)
        paging = Paging(limit, cursor)
        rows = await fetch(
            self._pool,
            """
            SELECT * FROM workspaces
            WHERE organisation_id = $1
              AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
            ORDER BY created_at DESC, id DESC
            LIMIT $4
            """,
            owner,
            *paging.parameters(),
        )
        return paging.page(rows, _workspace)

    async def ids(self, organization: str) -> tuple[str, ...]:
        """List the ids of all the organization's workspaces."""
        owner = values.known_id("organization", organization)
        rows = await fetch(
            self._pool,
            "SELECT id FROM workspaces WHERE organisation_id = $1 ORDER BY created_at",
            owner,
        )
        return tuple(str(row["id"]) for row in rows)

    async def update(
        self, organization: str, workspace: str, *, name: str, description: str | None = None
    ) -> Workspace:
        """Replace name and description. Raises `Conflict` when the name is taken."""
        ids = owned_ids("workspace", workspace, organization)
        name, description = values.workspace_name(name), _description(description)
        try:
            row = await fetchrow(
                self._pool,
                "UPDATE workspaces SET name = $3, description = $4, "
                "updated_at = clock_timestamp() "
                "WHERE id = $1 AND organisation_id = $2 RETURNING *",
                *ids,
                name,
                description,
            )
        except UniqueViolation:
            raise _name_taken(name) from None
        return _workspace(found(row, "workspace", workspace))


def _name_taken(name: str) -> Conflict:
    return Conflict(f"there is a workspace named {name!r} already: choose another name")


def _description(text: str | None) -> str | None:
    if text is None:
        return None
    return values.free_text("description", text, longest=DESCRIPTION_CHARACTERS)


def _workspace(row: Record) -> Workspace:
    return Workspace(
        id=str(row["id"]),
        organization=str(row["organisation_id"]),
        name=row["name"],
        description=row["description"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
