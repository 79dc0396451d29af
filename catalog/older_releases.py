"""Make sure, before something new is relied on, that no older process runs or may still run."""

from __future__ import annotations

from catalog.database import Connection
from catalog.errors import OlderRelease
from catalog.workers import Releases, all_know, use_feature
from delivery.source import EVENT_SOURCE


async def require_sources(conn: Connection) -> None:
    """Make sure that every process respects the source of events. Call it in the transaction.

    Raises:
        OlderRelease: a process of an older release runs, or may do so.
    """
    lacks = "ignore what a key or rule may do"
    await _require_new_api(conn, "sources", lacks)
    if not await use_feature(conn, EVENT_SOURCE):
        raise _older_worker(lacks)


async def require_scopes(conn: Connection) -> None:
    """Make sure that a key can do no more than its scopes. Call it within the transaction.

    Raises:
        OlderRelease: an API process of an older release runs, or may do so.
    """
    await _require_new_api(conn, "scopes", "do not heed what a key may do")


async def require_type(conn: Connection, type: str, releases: Releases) -> None:
    """Make sure that every process knows connections of a type. Call it in the transaction.

    Raises:
        OlderRelease: a process of an older release runs, or may do so.
    """
    if type in releases.FIRST_RELEASE.destination_types:
        return
    lacks = f"do not know connections of type {type}"
    await _require_new_api(conn, "types", lacks)
    if not await all_know(conn, type, releases):
        raise _older_worker(lacks)


async def _require_new_api(conn: Connection, what: str, lacks: str) -> None:
    if await conn.fetchval(
        "SELECT max(runs_until) > clock_timestamp() FROM older_api WHERE lacks = $1", what
    ):
        raise OlderRelease(
            f"API processes of an older release, which {lacks}, can be running for an hour after "
            "the migration: finish the rollout, and try again then"
        )


def _older_worker(lacks: str) -> OlderRelease:
    return OlderRelease(
        f"workers of an older release are running, which {lacks}: finish the rollout, and try again"
    )
