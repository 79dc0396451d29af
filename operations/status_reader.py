"""Read what the status is judged by: from the catalog and from Temporal, whichever answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import TypeVar

from temporalio.client import Client
from temporalio.service import RPCError

from catalog import Catalog
from catalog.errors import CatalogUnavailable
from catalog.traffic import Traffic, Waiting
from catalog.workers import LiveWorkers
from operations.status import Facts, Status, judge
from operations.traffic import waiting_of, waiting_query

ANSWER_SECONDS = 3.0

T = TypeVar("T")


class StatusReader:
    """Reads one organization's status again and again, and remembers since when a part is lost.

    Without `client` or `catalog`, Temporal or the catalog is known to be unavailable.
    """

    def __init__(self, client: Client | None, catalog: Catalog | None, task_queue: str) -> None:
        self._client = client
        self._catalog = catalog
        self._task_queue = task_queue
        self._seen: set[str] = set()
        self._lost: dict[str, datetime] = {}

    async def read(self, organization: str | None) -> Status:
        stored = await self._answered("database", self._stored(organization))
        traffic, workers, workspaces = stored or (None, None, None)
        query = waiting_query(self._task_queue, workspaces)
        waiting = await self._answered("temporal", self._waiting(query))
        return judge(
            Facts(
                datetime.now(UTC),
                traffic,
                workers,
                waiting,
                database_lost_at=self._lost.get("database"),
                temporal_lost_at=self._lost.get("temporal"),
            )
        )

    async def _stored(
        self, organization: str | None
    ) -> tuple[list[Traffic], LiveWorkers, tuple[str, ...]]:
        if self._catalog is None or organization is None:
            raise CatalogUnavailable("it could not be opened")
        return (
            await self._catalog.traffic.of(organization),
            await self._catalog.workers.alive(),
            await self._catalog.workspaces.ids(organization),
        )

    async def _waiting(self, query: str) -> Waiting:
        if self._client is None:
            raise TimeoutError
        return await waiting_of(self._client, query)

    async def _answered(self, part: str, asked: Awaitable[T]) -> T | None:
        """Return the answer; None if there is none in time, and remember since when."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await asked
        except (CatalogUnavailable, RPCError, TimeoutError):
            if part in self._seen:  # otherwise it may have been lost long ago
                self._lost.setdefault(part, datetime.now(UTC))
            return None
        self._seen.add(part)
        self._lost.pop(part, None)
        return answer
