"""What a run's memo says."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from temporalio.client import WorkflowExecution


async def read_memo(run: WorkflowExecution) -> dict[str, Any]:
    """Read the fields that can be read. Whoever starts a run may write others, and a key that they
    were encrypted with may be lost: that must not keep anyone from the run, or from a list of it.
    """
    found = {}
    for name in run.raw_info.memo.fields:
        with suppress(Exception):
            found[name] = await run.memo_value(name)
    return found
