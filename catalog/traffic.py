"""How each connection is doing: its latest attempts, and how many events wait for it.

Workers write it every few seconds. Times are converted to the database's clock, since the clocks of
workers may differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from catalog import values
from catalog.connections import Connection, read_connection
from catalog.database import Pool, Record, execute, fetch, fetchrow, transaction
from delivery.alert import LastResponse
from delivery.traffic import Tally

# This many failures without a success in between are the connection's, not one event's.
MANY_FAILURES = 3
MOST_CONNECTIONS = 2_000

_WITH_TRAFFIC = """
SELECT c.*, t.last_success, t.last_error, t.failing_since, t.failures, t.waiting, t.oldest,
       ARRAY(SELECT DISTINCT r.metadata ->> 'action' FROM rules r
             WHERE r.connection_id = c.id AND r.active) AS actions
FROM connections c JOIN workspaces w ON w.id = c.workspace_id
LEFT JOIN connection_traffic t ON t.connection_id = c.id
WHERE $1::uuid IS NULL OR w.organisation_id = $1
ORDER BY c.name, c.id LIMIT $2
"""


@dataclass(frozen=True)
class Waiting:
    """How many events wait, and when the oldest was started; None if that wasn't searched."""

    count: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True)
class Traffic:
    """A connection and how it is doing. `actions` are those of its active rules.

    `failing_since` is set while it has only failed, at least `MANY_FAILURES` times in a row.
    """

    connection: Connection
    actions: tuple[str, ...]
    last_success: datetime | None
    last_error: LastResponse | None
    failing_since: datetime | None
    waiting: Waiting


class ConnectionTraffic:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, tallies: Mapping[str, Tally], now: float) -> None:
        """Add what a worker has seen until `now` by its monotonic clock.

        Raises:
            CatalogUnavailable: the database is unavailable.
        """

        def ago(at: float | None) -> float | None:
            return None if at is None else now - at

        rows = [
            (
                id,
                ago(tally.last_success),
                ago(tally.last_failure),
                tally.last_error.model_dump(mode="json") if tally.last_error else None,
                ago(tally.failing_since),
                tally.failures,
            )
            for id, tally in sorted(tallies.items())  # in one order, so that nobody deadlocks
        ]
        await execute(
            self._pool,
            """
            INSERT INTO connection_traffic AS t
                (connection_id, last_success, last_failure, last_error, failing_since, failures)
            SELECT c.id, clock.now - n.success * second, clock.now - n.failure * second, n.error,
                   clock.now - n.failing * second, n.failures
            FROM unnest($1::uuid[], $2::float8[], $3::float8[], $4::jsonb[], $5::float8[],
                        $6::bigint[]) AS n (id, success, failure, error, failing, failures)
            JOIN connections c ON c.id = n.id,
            (SELECT clock_timestamp() AS now, interval '1 second' AS second) AS clock
            ORDER BY c.id
            ON CONFLICT (connection_id) DO UPDATE SET
                last_success = greatest(t.last_success, excluded.last_success),
                last_failure = greatest(t.last_failure, excluded.last_failure),
                last_error = CASE
                    WHEN excluded.last_failure >= coalesce(t.last_failure, '-infinity')
                    THEN excluded.last_error ELSE t.last_error END,
                failing_since = CASE
                    WHEN t.failing_since > coalesce(excluded.last_success, '-infinity')
                    THEN t.failing_since
                    WHEN excluded.failing_since > coalesce(t.last_success, '-infinity')
                    THEN excluded.failing_since END,
                failures = CASE
                    WHEN t.failing_since > coalesce(excluded.last_success, '-infinity')
                    THEN t.failures + excluded.failures
                    WHEN excluded.failing_since > coalesce(t.last_success, '-infinity')
                    THEN excluded.failures ELSE 0 END
            """,
            *([row[place] for row in rows] for place in range(6)),
        )

    async def may_count(self, every_seconds: float) -> bool:
        """Say whether it is this worker's turn to count what waits."""
        row = await fetchrow(
            self._pool,
            "UPDATE traffic_counted SET at = clock_timestamp() "
            "WHERE at < clock_timestamp() - $1 * interval '1 second' RETURNING at",
            every_seconds,
        )
        return row is not None

    async def set_waiting(self, waiting: Mapping[str, Waiting]) -> None:
        """Store what waits for each connection; nothing waits for those that are left out."""
        ids = sorted(waiting)
        async with transaction(self._pool) as conn:
            await conn.execute(
                "UPDATE connection_traffic SET waiting = 0, oldest = NULL "
                "WHERE waiting > 0 AND connection_id <> ALL($1::uuid[])",
                ids,
            )
            await conn.execute(
                """
                INSERT INTO connection_traffic (connection_id, waiting, oldest)
                SELECT c.id, n.waiting, n.oldest
                FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) AS n (id, waiting, oldest)
                JOIN connections c ON c.id = n.id
                ORDER BY c.id
                ON CONFLICT (connection_id) DO UPDATE
                SET waiting = excluded.waiting, oldest = excluded.oldest
                """,
                ids,
                [waiting[id].count for id in ids],
                [waiting[id].oldest for id in ids],
            )

    async def of(self, organization: str) -> list[Traffic]:
        """List its connections by name, with how they are doing; `MOST_CONNECTIONS` at most."""
        return await self._read(values.known_id("organization", organization))

    async def everywhere(self) -> list[Traffic]:
        """Return how the connections of all organizations are doing, likewise."""
        return await self._read(None)

    async def _read(self, owner: UUID | None) -> list[Traffic]:
        rows = await fetch(self._pool, _WITH_TRAFFIC, owner, MOST_CONNECTIONS)
        return [_traffic(row) for row in rows]


def troubled(traffic: Sequence[Traffic]) -> list[str]:
    """Return the ids of connections that deliver nothing now."""
    return [one.connection.id for one in traffic if one.failing_since or not one.connection.active]


def _traffic(row: Record) -> Traffic:
    return Traffic(
        connection=read_connection(row),
        actions=tuple(action for action in row["actions"] if action),
        last_success=row["last_success"],
        last_error=LastResponse.model_validate(row["last_error"]) if row["last_error"] else None,
        failing_since=row["failing_since"] if (row["failures"] or 0) >= MANY_FAILURES else None,
        waiting=Waiting(row["waiting"] or 0, row["oldest"]),
    )
