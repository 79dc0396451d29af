"""Lists, newest first, page by page: each page starts where the last one ended."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from catalog.database import Record
from catalog.errors import InvalidValue
from delivery.opaque_cursor import UNKNOWN, read_cursor, write_cursor

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 200

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list. `next_cursor` is None on the last page."""

    records: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True)
class Paging:
    """The limit and cursor with which a page is requested."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= LARGEST_LIMIT:
            raise InvalidValue("limit", f"must be between 1 and {LARGEST_LIMIT}")
        self.parameters()

    def parameters(self) -> tuple[datetime | None, UUID | None, int]:
        """Return the creation time and id after which the page starts, and the LIMIT.

        One more row than requested shows whether there is a next page.
        """
        after = (None, None) if self.cursor is None else _read_last_row(self.cursor)
        return *after, self.limit + 1

    def page(self, rows: list[Record], read: Callable[[Record], T]) -> Page[T]:
        shown = rows[: self.limit]
        next_cursor = None
        if len(rows) > self.limit:
            last = shown[-1]
            next_cursor = write_cursor(f"{last['created_at'].isoformat()}|{last['id']}")
        return Page(tuple(read(row) for row in shown), next_cursor)


def _read_last_row(cursor: str) -> tuple[datetime, UUID]:
    """Return the creation time and id of the last row of the page that gave out the cursor."""
    try:
        created_at, _, id = read_cursor(cursor).partition("|")
        moment, last = datetime.fromisoformat(created_at), UUID(id)
    except ValueError:
        raise InvalidValue("cursor", UNKNOWN) from None
    if moment.tzinfo is None:
        raise InvalidValue("cursor", UNKNOWN)
    return moment, last


async def read_all(
    list_page: Callable[..., Awaitable[Page[T]]],
    organization: str,
    *,
    most: float = math.inf,
    **filters: Any,
) -> list[T]:
    """Read page after page with a repository's `list_page`, until there are `most` or more."""
    records: list[T] = []
    cursor = None
    while True:
        page = await list_page(organization, limit=LARGEST_LIMIT, cursor=cursor, **filters)
        records += page.records
        cursor = page.next_cursor
        if cursor is None or len(records) >= most:
            return records
