"""Connections to which nobody sends for a while, since the vendor said "too many requests".

All workers are notified at once, on a channel of its own: caches are not emptied.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from catalog import values
from catalog.changes import SLOW_DOWNS, Changes
from catalog.database import Pool, transaction
from catalog.workers import ALIVE_SECONDS


class SlowDowns:
    def __init__(self, pool: Pool, changes: Changes) -> None:
        self._pool = pool
        self._until: dict[str, datetime] = {}
        changes.subscribe(self._on_notification, SLOW_DOWNS)

    async def slow_down(self, connection_id: str, seconds: float) -> None:
        """Let no worker send to it for `seconds`, or for longer if it must already wait longer."""
        id = values.known_id("connection", connection_id)
        self._note(str(id), seconds)
        async with transaction(self._pool) as conn:
            await conn.execute(
                """
                WITH slowed AS (
                    INSERT INTO slow_downs (connection_id, until)
                    SELECT id, clock_timestamp() + $2 * interval '1 second'
                    FROM connections WHERE id = $1
                    ON CONFLICT (connection_id) DO UPDATE
                    SET until = greatest(slow_downs.until, excluded.until)
                    RETURNING until
                )
                SELECT pg_notify($3, format('%s %s', $1::text,
                                            extract(epoch FROM until - clock_timestamp())))
                FROM slowed
                """,
                id,
                seconds,
                SLOW_DOWNS,
            )
            # This empties caches; workers of an older release can't be notified in any other way.
            await conn.execute(
                """
                UPDATE connections SET slowed_until = clock_timestamp() + $2 * interval '1 second'
                WHERE id = $1 AND (slowed_until IS NULL
                    OR slowed_until < clock_timestamp() + $2 * interval '1 second')
                AND EXISTS (
                    SELECT FROM workers WHERE NOT hears_slow_downs
                    AND seen_at >= clock_timestamp() - $3 * interval '1 second'
                )
                """,
                id,
                seconds,
                ALIVE_SECONDS,
            )

    def until(self, connection_id: str) -> datetime | None:
        """Return until when, by this process's clock; None if no slow-down is known."""
        return self._until.get(connection_id)

    def _note(self, connection_id: str, seconds: float) -> None:
        now = datetime.now(UTC)
        until = now + timedelta(seconds=seconds)
        self._until = {id: at for id, at in self._until.items() if at > now}
        self._until[connection_id] = max(until, self._until.get(connection_id, until))

    def _on_notification(self, said: str) -> None:
        connection_id, _, seconds = said.partition(" ")
        self._note(connection_id, float(seconds))
