"""Listen for every change to the catalog, and notice when listening is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from catalog.database import Connection, translated
from catalog.errors import CatalogUnavailable

CHANNEL = "emitonce_catalog"
SLOW_DOWNS = (
    "emitonce_slow_downs"  # of connections; separate, since they change nothing that is cached
)
EVERY_WORKSPACE = "*"

# A connection can break unnoticed (a pulled cable, a lost NAT entry). It is checked this often, so
# that no cache is stale for longer.
CHECK_SECONDS = 2.0
RECONNECT_FIRST_SECONDS = 0.1
RECONNECT_LONGEST_SECONDS = 5.0

log = logging.getLogger(__name__)

OnChange = Callable[[str], None]


class Changes:
    """Listens for changes. While `hearing` is False, some may be missed: caches are bypassed.

    LISTEN needs a session: a pooler must be in session mode, or be bypassed.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        *,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._connect = connect
        self._check_seconds = check_seconds
        self._listeners: dict[str, list[OnChange]] = {CHANNEL: [], SLOW_DOWNS: []}
        self._hearing = False
        self._task: asyncio.Task[None] | None = None

    @property
    def hearing(self) -> bool:
        return self._hearing

    def subscribe(self, on_change: OnChange, channel: str = CHANNEL) -> None:
        """Call `on_change` with the id of a workspace that has changed.

        It is `EVERY_WORKSPACE` when listening is interrupted, and when it starts again.
        """
        self._listeners[channel].append(on_change)

    def announce(self, workspace: str) -> None:
        """Notify this process's caches at once: the notification of its own write comes later."""
        self._pass_on(CHANNEL, workspace)

    async def start(self) -> None:
        """Start to listen. Waits for the first try to connect; if it fails, others follow."""
        first_try = asyncio.Event()
        self._task = asyncio.create_task(self._run(first_try), name="catalog changes")
        await first_try.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self, first_try: asyncio.Event) -> None:
        wait = RECONNECT_FIRST_SECONDS
        while True:
            try:
                with translated():
                    connection = await self._connect()
                    wait = RECONNECT_FIRST_SECONDS
                    try:
                        await self._listen(connection, first_try)
                    finally:
                        self._stop_hearing()
                        connection.terminate()
            except CatalogUnavailable as err:
                log.warning("not hearing the catalog's changes, caches are bypassed: %s", err)
            except Exception:  # after any error: caches are bypassed, and it is tried again
                log.exception("not hearing the catalog's changes, caches are bypassed")
            first_try.set()
            await asyncio.sleep(wait)
            wait = min(wait * 2, RECONNECT_LONGEST_SECONDS)

    async def _listen(self, connection: Connection, first_try: asyncio.Event) -> None:
        """Listen until the connection is lost, which raises."""
        lost = asyncio.Event()

        def on_lost(_: Connection) -> None:
            self._stop_hearing()
            lost.set()

        connection.add_termination_listener(on_lost)
        for channel in self._listeners:
            await connection.add_listener(channel, self._on_notification)
        # Nothing cached is older than this: caches were emptied when listening was interrupted, and
        # keep nothing that was read meanwhile.
        self._hearing = not connection.is_closed()
        self.announce(EVERY_WORKSPACE)
        first_try.set()
        while not lost.is_set():
            try:
                # Not `wait_for`: Python 3.11's loses a cancellation that comes with the result.
                async with asyncio.timeout(self._check_seconds):
                    await lost.wait()
            except TimeoutError:
                await connection.execute("SELECT 1", timeout=self._check_seconds)
        raise CatalogUnavailable("the connection that listens was lost")

    def _stop_hearing(self) -> None:
        self._hearing = False
        self.announce(EVERY_WORKSPACE)

    def _on_notification(self, _connection: Connection, _pid: int, channel: str, said: Any) -> None:
        self._pass_on(channel, str(said))

    def _pass_on(self, channel: str, said: str) -> None:
        for listener in self._listeners[channel]:
            try:
                listener(said)
            except Exception:  # the others must be notified all the same
                log.exception("a change of the catalog could not be passed on")
