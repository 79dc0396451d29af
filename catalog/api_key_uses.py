"""Record when a machine key was last used, in the background and once an hour."""

from __future__ import annotations

import asyncio
import logging
import time

from catalog.database import Pool, execute
from catalog.errors import CatalogUnavailable

# How precise `last_used_at` is: each process writes once an hour for each key.
EVERY_SECONDS = 3_600.0
# A write that failed is tried again on the first use after this time.
AGAIN_SECONDS = 60.0

log = logging.getLogger(__name__)


class APIKeyUses:
    def __init__(self, pool: Pool, *, again_seconds: float = AGAIN_SECONDS) -> None:
        self._pool = pool
        self._again_seconds = again_seconds
        self._due: dict[str, float] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, key: str) -> None:
        """Record a use of the key of this id. Returns at once; a failed write is logged."""
        now = time.monotonic()
        if now < self._due.get(key, now):
            return
        self._due[key] = now + EVERY_SECONDS
        task = asyncio.create_task(self._write(key))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def written(self) -> None:
        """Wait for the writes that are under way."""
        await asyncio.gather(*self._writing)

    async def _write(self, key: str) -> None:
        try:
            await execute(
                self._pool,
                """
                INSERT INTO machine_key_uses (key_id, last_used_at)
                SELECT id, clock_timestamp() FROM machine_keys WHERE id = $1::uuid
                ON CONFLICT (key_id) DO UPDATE SET last_used_at = excluded.last_used_at
                """,
                key,
            )
        except CatalogUnavailable as err:
            self._try_again(key)
            log.info("a key's use could not be recorded: %s", err)
        except Exception:  # after any error: a later use is recorded
            self._try_again(key)
            log.exception("a key's use could not be recorded")

    def _try_again(self, key: str) -> None:
        self._due[key] = time.monotonic() + self._again_seconds
