from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.api.caller import Api, open_api
from tests.integration.stack import Stack


@pytest_asyncio.fixture
async def api(stack: Stack, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Api]:
    """The HTTP API over the test's own stack. Nothing may fail unseen behind an answer."""
    with caplog.at_level(logging.ERROR, logger="uvicorn.error"):
        async with open_api(stack) as api:
            yield api
    assert [record.getMessage() for record in caplog.records if record.levelno >= 40] == []


@pytest_asyncio.fixture(scope="module")
async def shared_api(shared_stack: Stack) -> AsyncIterator[Api]:
    """The same for a whole module, for the many small tests of what is refused."""
    async with open_api(shared_stack) as api:
        yield api
