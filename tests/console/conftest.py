from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.console.chromium import open_browser
from tests.console.site import Site, open_site
from tests.integration.stack import Stack


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    expect.set_options(timeout=20_000)  # the machine may be busy
    async with open_browser() as browser:
        yield browser


@pytest_asyncio.fixture
async def site(stack: Stack) -> AsyncIterator[Site]:
    async with open_site(stack) as site:
        yield site
