"""How long a caller is kept waiting for a part behind this one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starter.api.errors import ApiError


@asynccontextmanager
async def time_limit(seconds: float, too_late: Callable[[], ApiError]) -> AsyncIterator[None]:
    """Raises what `too_late` makes where what is done within takes longer."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise too_late() from None
