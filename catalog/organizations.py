"""Organizations: the accounts that own workspaces. An installation starts with one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from catalog import values
from catalog.database import Pool, Record, connection, fetchrow

NAME_CHARACTERS = 100


@dataclass(frozen=True)
class Organization:
    id: str
    name: str
    created_at: datetime


class Organizations:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def default(self) -> Organization:
        """Return the one organization of an installation; the first call makes it."""
        async with connection(self._pool) as conn:
            await conn.execute(
                "INSERT INTO organisations (name, is_default) VALUES ('Default', true) "
                "ON CONFLICT (is_default) WHERE is_default DO NOTHING"
            )
            row = await conn.fetchrow("SELECT * FROM organisations WHERE is_default")
        return _organization(row)

    async def create(self, name: str) -> Organization:
        name = values.free_text("name", name, shortest=1, longest=NAME_CHARACTERS)
        return _organization(
            await fetchrow(
                self._pool, "INSERT INTO organisations (name) VALUES ($1) RETURNING *", name
            )
        )


def _organization(row: Record) -> Organization:
    return Organization(id=str(row["id"]), name=row["name"], created_at=row["created_at"])
