"""Find the runs that are held for a connection, and signal them to continue."""

from __future__ import annotations

from temporalio.client import Client

from delivery.resume import HeldPage, HeldSignaled
from delivery.search_attributes import CONNECTIONS, HELD, STATE
from delivery.signals import CONNECTION_RESUMED
from engine.missing import ignore_missing
from operations.pace import Pace
from operations.runs_page import list_page

PAGE_SECONDS = 4
LARGEST_PAGE = 1_000


class HeldRuns:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def signal(self, page: HeldPage) -> HeldSignaled:
        """Signal one page of held runs, at its rate. A page takes some seconds."""
        size = max(1, min(round(page.per_second * PAGE_SECONDS), LARGEST_PAGE))
        runs, cursor = await list_page(
            self._client, held_for(page.connection), size=size, cursor=page.cursor
        )
        pace, signaled = Pace(page.per_second), 0
        for run in runs:
            await pace()
            signaled += await self._signal(run.id, run.run_id, page.connection)
        return HeldSignaled(active=True, told=signaled, next_cursor=cursor)

    async def _signal(self, id: str, run_id: str, connection: str) -> bool:
        handle = self._client.get_workflow_handle(id, run_id=run_id)
        with ignore_missing():
            await handle.signal(CONNECTION_RESUMED, connection)
            return True
        return False  # it ended meanwhile


async def count_held(client: Client, connection: str) -> int:
    """Count the events that wait for a connection."""
    return (await client.count_workflows(held_for(connection))).count


def held_for(connection: str) -> str:
    """Write the list filter. A run that continues leaves the list a moment later."""
    return (
        f"WorkflowType = 'DeliverEvent' AND ExecutionStatus = 'Running' "
        f"AND {STATE.name} = '{HELD}' AND {CONNECTIONS.name} = '{connection}'"
    )
