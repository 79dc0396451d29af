"""Signal one page of the runs held for a connection to continue."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from temporalio import activity

from activities.policy import UNTIL_IT_WORKS, Policy
from delivery.resume import HeldPage, HeldSignaled

# A page takes some seconds at its rate. Every failure is temporary, and signaling a run twice does
# no harm.
TELL_HELD = Policy(start_to_close=timedelta(minutes=2), retry=UNTIL_IT_WORKS)


class StatusLookup(Protocol):
    async def status(self, connection_id: str) -> str | None: ...


class HeldRuns(Protocol):
    async def signal(self, page: HeldPage) -> HeldSignaled: ...


class TellHeld:
    def __init__(self, connections: StatusLookup, runs: HeldRuns) -> None:
        self._connections = connections
        self._runs = runs

    @activity.defn(name="tell_held")
    async def tell_held(self, page: HeldPage) -> HeldSignaled:
        """Signal them, unless the connection is paused or inactive again.

        Then they stay held: each would only try, find the connection unusable, and be held again.
        """
        status = await self._connections.status(page.connection)
        # If it was deleted (None), the runs that wait for it have to find that out.
        if status not in ("active", None):
            return HeldSignaled(active=False)
        return await self._runs.signal(page)
