from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.api.caller import Api, open_api
from tests.integration.stack import Stack


@pytest_asyncio.fixture
async def api(stack: Stack) -> AsyncIterator[Api]:
    """The HTTP API over the test's own stack."""
    async with open_api(stack) as api:
        yield api
