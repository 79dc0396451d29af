from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest_asyncio
from playwright.async_api import Browser, expect
from temporalio.client import Client

from tests.conftest import new_database
from tests.console.chromium import open_browser
from tests.console.site import Site, open_site
from tests.integration.stack import Stack, open_stack

_NUMBERS = itertools.count(1)


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    expect.set_options(timeout=20_000)  # the machine may be busy
    async with open_browser() as browser:
        yield browser


@pytest_asyncio.fixture(scope="session")
async def whole_site(
    browser: Browser, temporal: Client, postgres_dsn: str, migrated_template: str
) -> AsyncIterator[Site]:
    """One console for the whole run; each test works in a workspace of its own."""
    async with (
        new_database(postgres_dsn, migrated_template) as dsn,
        open_stack(temporal, dsn) as stack,
        open_site(stack) as site,
    ):
        yield site


@pytest_asyncio.fixture
async def stack(whole_site: Site) -> Stack:
    """With a workspace of the test's own, and a Customer.io that knows nothing yet."""
    stack = whole_site.stack
    stack.sim.reset()
    workspace = await stack.catalog.workspaces.create(
        stack.organization, name=f"Acme app {next(_NUMBERS)}"
    )
    return replace(stack, workspace=workspace.id)


@pytest_asyncio.fixture
async def site(whole_site: Site, stack: Stack) -> Site:
    return replace(whole_site, stack=stack)
