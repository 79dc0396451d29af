"""Whether an event's source is heeded by all who handle it."""

from __future__ import annotations

from catalog.database import Connection
from catalog.errors import OlderRelease
from catalog.workers import use_feature
from delivery.source import EVENT_SOURCE


async def require_sources(conn: Connection) -> None:
    """Make sure of it before something relies on it. Call it within the transaction.

    Raises:
        OlderRelease: a process of an older release runs, or may do so.
    """
    if await conn.fetchval("SELECT max(runs_until) > clock_timestamp() FROM older_api"):
        raise OlderRelease(
            "API processes of an older release, which do not heed what a key or rule may do, can "
            "be running for an hour after the migration: finish the rollout, and try again then"
        )
    if not await use_feature(conn, EVENT_SOURCE):
        raise OlderRelease(
            "a worker of an older release is running, which does not heed what a key or rule may "
            "do: finish the rollout, and try again"
        )
