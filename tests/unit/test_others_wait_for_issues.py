"""Reading thousands of failed events doesn't hold up what else a process does."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from temporalio.client import WorkflowExecutionStatus

from delivery import search_attributes as names
from eventlog.issues import find_issues
from eventlog.query import RUNS_AT_ONCE, EventQuery

FAILED = 2_000
MEMO = ("EmitonceEvent", "EmitoncePerson")
WORKSPACE = str(uuid.uuid4())


class Lists:
    """A client whose lists have `FAILED` runs, and which lets others run between two pages."""

    def __init__(self) -> None:
        self.turns = 0
        self.read: Counter[int] = Counter()

    async def others(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)

    async def list_workflows(
        self, query: str, *, page_size: int = 1_000, limit: int | None = None
    ) -> AsyncIterator[Any]:
        if "WorkflowId IN" in query:
            return
        for number in range(FAILED):
            if number % page_size == 0:
                await asyncio.sleep(0)
            yield self._run()

    def _run(self) -> Any:
        async def memo_value(name: str) -> None:
            self.read[self.turns] += 1

        now = datetime.now(UTC)
        return SimpleNamespace(
            id=str(uuid.uuid4()),
            run_id=str(uuid.uuid4()),
            status=WorkflowExecutionStatus.FAILED,
            start_time=now,
            close_time=now,
            typed_search_attributes={names.WORKSPACE: WORKSPACE, names.ACCEPTED_AT: now},
            raw_info=SimpleNamespace(memo=SimpleNamespace(fields=MEMO)),
            memo_value=memo_value,
        )


async def test_others_have_their_turn_after_each_page_of_failures() -> None:
    lists = Lists()
    others = asyncio.create_task(lists.others())
    client: Any = lists
    found = await find_issues(client, EventQuery((WORKSPACE,)), most=FAILED)
    others.cancel()
    assert (found.failed, found.unexplained, found.complete) == (FAILED, FAILED, True)
    assert 0 < max(lists.read.values()) <= RUNS_AT_ONCE * len(MEMO)
    assert RUNS_AT_ONCE <= 200
