"""A real Temporal server for the tests: `EMITONCE_TEST_TEMPORAL` names one, or it is started."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.client import Client

from engine.connect import connect
from engine.dev_server import DevServer
from engine.search_attributes import register_search_attributes
from tests.integration.stack import Stack, open_stack


@pytest_asyncio.fixture(scope="session")
async def temporal(tmp_path_factory) -> AsyncIterator[Client]:
    """A client of the server that all tests share; each works on a task queue of its own."""
    given = os.environ.get("EMITONCE_TEST_TEMPORAL")
    if given:
        client = await connect(given)
        await register_search_attributes(client)
        yield client
        return
    server = await DevServer.start(tmp_path_factory.mktemp("temporal"), in_memory=True, ui=False)
    client = await connect(server.address)
    await register_search_attributes(client)
    yield client
    await server.stop()


@pytest_asyncio.fixture
async def stack(temporal: Client, database: str) -> AsyncIterator[Stack]:
    """Everything of the test's own but the servers: catalog, simulator, worker, emitter."""
    async with open_stack(temporal, database) as stack:
        yield stack
