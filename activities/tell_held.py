"""Tell one page of the runs that are held for a connection to go on."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from temporalio import activity
from temporalio.common import RetryPolicy

from activities.policy import Policy
from catalog.errors import NotFound
from delivery.resume import HeldPage, HeldTold

# A page takes as long as its pace says, seconds; what stands in its way is temporary, and telling a
# run twice does no harm.
TELL_HELD = Policy(
    start_to_close=timedelta(minutes=2),
    retry=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=0,
    ),
)


class Connections(Protocol):
    async def status(self, connection_id: str) -> str: ...


class HeldRuns(Protocol):
    async def tell(self, page: HeldPage) -> HeldTold: ...


class TellHeld:
    def __init__(self, connections: Connections, runs: HeldRuns) -> None:
        self._connections = connections
        self._runs = runs

    @activity.defn(name="tell_held")
    async def tell_held(self, page: HeldPage) -> HeldTold:
        """Tell them, unless the connection is out of use again.

        Each would only look, find that it is, and wait on: for ten thousand that is a lot of work.
        """
        try:
            status = await self._connections.status(page.connection)
        except NotFound:
            status = "active"  # deleted: those that wait for it have to learn that
        if status != "active":
            return HeldTold(active=False)
        return await self._runs.tell(page)
