"""The HTTP API over real parts. A test fails if the API logs an error behind its answers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.api.caller import Api, open_api, tenant_of
from tests.integration.stack import Stack


@pytest.fixture
def no_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.ERROR, logger="uvicorn.error"):
        yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= 40] == []


@pytest_asyncio.fixture
async def api(no_errors: None, stack: Stack) -> AsyncIterator[Api]:
    """The API over the test's own stack."""
    async with open_api(stack) as api:
        yield api


@pytest_asyncio.fixture(scope="module")
async def shared_api(shared_stack: Stack) -> AsyncIterator[Api]:
    """The same for a whole module, for the many small tests of what is refused."""
    async with open_api(shared_stack) as api:
        yield api


@pytest_asyncio.fixture
async def tenant(no_errors: None, shared_api: Api) -> Api:
    """The module's API, for an organization of the test's own: see `tenant_of`."""
    return await tenant_of(shared_api)
