"""What a scenario leaves to be recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from emitonce import EventHandle
from tests.integration.stack import Stack

# The ids of the workflows whose latest runs are recorded, by the name of the file.
Recorded = dict[str, str]
Scenario = Callable[[Stack], Awaitable[Recorded]]


async def ended(stack: Stack, handle: EventHandle) -> str:
    await stack.ended(handle)
    return handle.id
