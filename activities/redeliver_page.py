"""Deliver one page of selected events again."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from temporalio import activity

from activities.policy import UNTIL_IT_WORKS, Policy
from delivery.selection import Page, PageDone

# A page takes a few seconds at its rate. The next try recognizes the events that a failed one has
# started, so it is safe to retry forever.
REDELIVER_PAGE = Policy(start_to_close=timedelta(minutes=2), retry=UNTIL_IT_WORKS)


class Redeliveries(Protocol):
    async def page(self, page: Page) -> PageDone: ...


class RedeliverPage:
    def __init__(self, redeliveries: Redeliveries) -> None:
        self._redeliveries = redeliveries

    @activity.defn(name="redeliver_page")
    async def redeliver_page(self, page: Page) -> PageDone:
        return await self._redeliveries.page(page)
