"""Signal the runs held for a connection to continue, page by page."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.tell_held import TELL_HELD, TellHeld
    from delivery.resume import RESUMED, HeldPage, HeldSignaled, Resume, Resumed

# Lists lag behind: what was just held appears a moment later. The waits double, since a backlog
# may need longer.
LOOK_AGAIN = timedelta(seconds=2)
LOOKS = 5
LONGEST_HISTORY = 500


@workflow.defn(name="ResumeConnection")
class ResumeConnection:
    """Signals the runs held for a connection. If it runs already, it is made to search again."""

    @workflow.init
    def __init__(self, resume: Resume) -> None:
        self._progress = resume
        self._asked = True
        self._stopped = False

    @workflow.run
    async def run(self, resume: Resume) -> Resumed:
        """Signal all held runs, then search again, at least once, until none is found.

        A run that is missed nevertheless tries by itself within an hour.
        """
        while self._asked:
            self._asked = False
            for looks in range(LOOKS):
                found = await self._signal_all()
                if self._stopped or (looks and not found):
                    break
                if await self._asked_within(LOOK_AGAIN * 2**looks):
                    break
        return Resumed(told=self._progress.told, stopped=self._stopped)

    @workflow.signal(name=RESUMED)
    def resumed(self) -> None:
        self._asked = True

    async def _asked_within(self, wait: timedelta) -> bool:
        try:
            await workflow.wait_condition(lambda: self._asked, timeout=wait)
        except TimeoutError:
            return False
        return True

    async def _signal_all(self) -> bool:
        """Signal all held runs, page by page; return whether there were any."""
        before = self._progress.told
        while True:
            page = await self._signal_page()
            self._stopped = not page.active
            self._progress = self._progress.model_copy(
                update={"told": self._progress.told + page.told, "cursor": page.next_cursor}
            )
            if page.next_cursor is None:
                return self._progress.told > before
            if workflow.info().get_current_history_length() > LONGEST_HISTORY:
                workflow.continue_as_new(self._progress)

    async def _signal_page(self) -> HeldSignaled:
        return await workflow.execute_activity_method(
            TellHeld.tell_held,
            HeldPage(
                connection=self._progress.connection,
                per_second=self._progress.per_second,
                cursor=self._progress.cursor,
            ),
            start_to_close_timeout=TELL_HELD.start_to_close,
            retry_policy=TELL_HELD.retry,
            summary=f"{self._progress.told} signaled so far",
        )
