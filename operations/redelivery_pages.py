"""Redeliver one page of a bulk redelivery: each event, or the reason why not."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from delivery.selection import EventOutcome, Page, PageDone, Selection
from emitonce.errors import CannotDecode
from eventlog.fetch import EventNotFound
from operations.event_redelivery import Redelivered, redeliver
from operations.pace import Pace
from operations.redelivery_plan import NotRedeliverable
from operations.selected_runs import selected_page
from operations.send_again import send_again

PAGE_SECONDS = 2
LARGEST_PAGE = 100


class RedeliveryPages:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def page(self, page: Page) -> PageDone:
        """Redeliver a few seconds' worth of events. Repeating a page starts no event twice."""
        size = max(1, min(round(page.per_second * PAGE_SECONDS), LARGEST_PAGE))
        runs, following = await selected_page(
            self._client, page.selection, size=size, cursor=page.cursor
        )
        pace, outcomes = Pace(page.per_second), []
        for run in runs:
            await pace()
            outcomes.append(await self._one(run.id, run.run_id, page.selection))
        return PageDone(outcomes=tuple(outcomes), next_cursor=following)

    async def _one(self, event_id: str, run_id: str, selection: Selection) -> EventOutcome:
        try:
            if selection.mode.sends_delivered_ones:
                new = await send_again(self._client, event_id, selection)
                return EventOutcome(event_id=event_id, outcome="sent_again", new_event_id=new)
            started = await self._redeliver(event_id, run_id, selection)
            return EventOutcome(event_id=event_id, outcome="redelivered", run_id=started)
        except (NotRedeliverable, EventNotFound) as err:
            return EventOutcome(event_id=event_id, outcome="skipped", reason=str(err))
        except CannotDecode:
            reason = "it can't be decrypted here: this worker lacks its key"
            return EventOutcome(event_id=event_id, outcome="skipped", reason=reason)
        except RPCError as err:
            if err.status is RPCStatusCode.INVALID_ARGUMENT:  # for example, it is too large
                reason = "Temporal refused to start it again"
                return EventOutcome(event_id=event_id, outcome="skipped", reason=reason)
            raise

    async def _redeliver(self, event_id: str, run_id: str, selection: Selection) -> str:
        try:
            return await redeliver(
                self._client,
                event_id,
                rules=None if selection.rule is None else [selection.rule],
                connection=selection.connection,
                reason=selection.reason,
                latest_run=run_id,
                mark=selection.id,
            )
        except Redelivered as err:
            if err.mark == selection.id:
                return err.run_id  # started by an earlier try, or before a cancellation
            raise
