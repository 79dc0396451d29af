"""Deliver selected events again, page by page, at a limited rate."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.redeliver_page import REDELIVER_PAGE, RedeliverPage
    from delivery.selection import PROGRESS, BulkRedelivery, Page, PageDone, Progress

LONGEST_HISTORY = 500


@workflow.defn(name="RedeliverEvents")
class RedeliverEvents:
    """Runs a bulk redelivery. The workflow id is derived from the selection, so each runs once."""

    @workflow.init
    def __init__(self, work: BulkRedelivery) -> None:
        self._work = work

    @workflow.run
    async def run(self, work: BulkRedelivery) -> Progress:
        """Go through all pages. When canceled, finish the current page and end."""
        while True:
            page = asyncio.create_task(self._redeliver())
            try:
                await workflow.wait([page])
            except asyncio.CancelledError:
                page.cancel()
                with suppress(ActivityError, asyncio.CancelledError):
                    self._note(await page)
                raise
            self._note(page.result())
            if self._work.cursor is None:
                return self._work.progress
            if workflow.info().get_current_history_length() > LONGEST_HISTORY:
                workflow.continue_as_new(self._work)

    @workflow.query(name=PROGRESS)
    def progress(self) -> Progress:
        return self._work.progress

    async def _redeliver(self) -> PageDone:
        progress = self._work.progress
        return await workflow.execute_activity_method(
            RedeliverPage.redeliver_page,
            Page(
                selection=self._work.selection,
                per_second=self._work.per_second,
                cursor=self._work.cursor,
            ),
            start_to_close_timeout=REDELIVER_PAGE.start_to_close,
            retry_policy=REDELIVER_PAGE.retry,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"{progress.done} of {progress.planned} done",
        )

    def _note(self, page: PageDone) -> None:
        self._work = self._work.model_copy(
            update={
                "progress": self._work.progress.after(page.outcomes),
                "cursor": page.next_cursor,
            }
        )
