from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest_asyncio
from playwright.async_api import Browser, expect
from temporalio.client import Client

from starter.console.single_sign_on import CALLBACK
from tests.conftest import new_database
from tests.console.chromium import open_browser
from tests.console.host import Host, open_host
from tests.console.identity import free_port, open_provider, open_signing_site
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


@pytest_asyncio.fixture(scope="module")
async def real(whole_site: Site) -> AsyncIterator[list[Site]]:
    """Two processes' worth of consoles, and the provider that both use."""
    ports = [free_port() for _ in range(3)]
    redirects = [f"http://127.0.0.1:{port}{CALLBACK}" for port in ports[1:]]
    async with (
        open_provider(ports[0], redirects) as issuer,
        open_signing_site(whole_site.stack, issuer, ports[1]) as one,
        open_signing_site(whole_site.stack, issuer, ports[2]) as other,
    ):
        yield [one, other]


@pytest_asyncio.fixture
async def host(site: Site) -> AsyncIterator[Host]:
    async with open_host(site, scopes=["events.payload:read"]) as host:
        yield host
