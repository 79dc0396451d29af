"""API and console as they are served in production: behind a proxy, under a public URL of https."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.client import Client

from tests.api.caller import Api, open_api
from tests.attacks.production import Production, production
from tests.conftest import new_database
from tests.console.site import Site, open_site
from tests.integration.stack import Stack

PUBLIC_URL = "https://events.example.com"
PROXY = {"trusted_proxies": "127.0.0.1"}


@pytest_asyncio.fixture
async def stack(shared_stack: Stack) -> Stack:
    """The module's stack, for an organization of the test's own."""
    return await shared_stack.tenant()


@pytest_asyncio.fixture
async def api(stack: Stack) -> AsyncIterator[Api]:
    async with open_api(stack, serving=PROXY, public_url=PUBLIC_URL) as api:
        yield api


@pytest_asyncio.fixture(scope="module")
async def shared_api(shared_stack: Stack) -> AsyncIterator[Api]:
    async with open_api(shared_stack, serving=PROXY, public_url=PUBLIC_URL) as api:
        yield api


@pytest_asyncio.fixture
async def site(stack: Stack) -> AsyncIterator[Site]:
    async with open_site(stack, serving=PROXY, public_url=PUBLIC_URL) as site:
        yield site


@pytest_asyncio.fixture
async def plain_site(stack: Stack) -> AsyncIterator[Site]:
    """Without TLS, so that a client of plain HTTP sends the cookies back."""
    async with open_site(stack, serving=PROXY, public_url="http://events.example.com") as site:
        yield site


@pytest_asyncio.fixture(scope="session")
async def attacked(
    temporal: Client, postgres_dsn: str, migrated_template: str
) -> AsyncIterator[Production]:
    """A process in production mode, for all attacks that come over its socket."""
    async with (
        new_database(postgres_dsn, migrated_template) as dsn,
        production(temporal, dsn) as attacked,
    ):
        yield attacked
