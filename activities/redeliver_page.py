"""Deliver one page of selected events again."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from temporalio import activity
from temporalio.common import RetryPolicy

from activities.policy import Policy
from delivery.selection import Page, PageDone

# A page takes a few seconds at its rate. The next try recognizes the events that a failed one has
# started, so it is safe to retry forever.
REDELIVER_PAGE = Policy(
    start_to_close=timedelta(minutes=2),
    retry=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=0,
    ),
)


class Redeliveries(Protocol):
    async def page(self, page: Page) -> PageDone: ...


class RedeliverPage:
    def __init__(self, redeliveries: Redeliveries) -> None:
        self._redeliveries = redeliveries

    @activity.defn(name="redeliver_page")
    async def redeliver_page(self, page: Page) -> PageDone:
        return await self._redeliveries.page(page)
