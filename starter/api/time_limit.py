"""Limit how long a caller waits for Temporal or the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starter.api.errors import ApiError


@asynccontextmanager
async def time_limit(seconds: float, too_late: Callable[[], ApiError]) -> AsyncIterator[None]:
    """Run a block for at most `seconds`, then raise the error that `too_late` makes."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise too_late() from None
