"""Someone who doesn't code finds out why a person didn't get an event, and fixes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from temporalio.client import Client

from tests.console.axe import axe_source, faults
from tests.console.site import PHONE, WIDE, Site, open_site
from tests.console.tour import emit_order, take_the_tour
from tests.integration.stack import open_stack

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture
async def site(temporal: Client, database: str) -> AsyncIterator[Site]:
    """A site of the test's own, on an empty database."""
    async with open_stack(temporal, database) as stack, open_site(stack) as site:
        yield site


@pytest.mark.parametrize(
    ("keyboard", "options"),
    [
        pytest.param(True, {"viewport": WIDE}, id="desktop-by-keyboard"),
        pytest.param(True, {"viewport": WIDE, "color_scheme": "dark"}, id="dark-by-keyboard"),
        pytest.param(False, {"viewport": PHONE, "has_touch": True}, id="phone"),
    ],
)
async def test_from_an_empty_database_to_a_person_who_has_got_it(
    site: Site, browser: Browser, keyboard: bool, options: dict[str, Any]
):
    stack, source, found = site.stack, axe_source(), {}

    async def look(page: Page, name: str) -> None:
        found[name] = await faults(page, source, impacts=None)
        beyond = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        found[name] += [f"{beyond} pixels too wide"] if beyond > 0 else []

    async with site.stranger(browser, reduced_motion="reduce", **options) as page:
        await take_the_tour(page, site, partial(emit_order, stack), look, keyboard=keyboard)
    assert {where: what for where, what in found.items() if what} == {}
    [tried, got] = stack.sim.events
    assert tried.person is not None
    assert tried.person.id == "emitonce-test"
    assert got.person is not None
    assert (got.person.id, got.person.email) == ("usr_2048", "ann@example.com")
    assert got.properties == {"total": 49.9, "currency": "EUR"}
