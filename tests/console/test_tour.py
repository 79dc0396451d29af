"""The product page's tour, in a browser, from an empty database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from temporalio.client import Client

from destinations.customerio.simulator import US_KEY, Fault
from starter.test_person import TEST_PERSON
from tests.conftest import new_database
from tests.console.site import Site, open_site
from tests.integration.stack import SAMPLE, Stack, open_stack


async def create_connection(page: Page, name: str = "Customer io", key: str = US_KEY) -> None:
    await page.get_by_role("navigation").get_by_role("link", name="Connections").click()
    await page.get_by_role("link", name="New connection").click()
    await page.get_by_label("Name").fill(name)
    await page.locator("input[name='f.region'][value=us]").check()
    await page.get_by_label("CDP API key").fill(key)
    await page.get_by_role("button", name="Verify").click()
    await expect(page.locator("#verdict")).to_contain_text("Right")
    await page.get_by_role("button", name="Save connection").click()
    await expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


async def create_rule(page: Page, event: str = "user.signup", override: str = "Signed Up") -> None:
    await page.get_by_role("navigation").get_by_role("link", name="Rules").click()
    await page.get_by_role("link", name="New rule").click()
    await page.get_by_label("Event type").fill(event)
    await page.get_by_label("Event name", exact=True).fill(override)
    await expect(page.locator("#preview")).to_contain_text(f'"event": "{override}"')
    await page.get_by_role("button", name="Save rule").click()
    await expect(page.get_by_text("The rule is saved.")).to_be_visible()


@pytest_asyncio.fixture
async def stack(
    temporal: Client, postgres_dsn: str, migrated_template: str
) -> AsyncIterator[Stack]:
    async with (
        new_database(postgres_dsn, migrated_template) as dsn,
        open_stack(temporal, dsn) as stack,
    ):
        yield stack


@pytest_asyncio.fixture
async def site(stack: Stack) -> AsyncIterator[Site]:
    async with open_site(stack) as site:
        yield site


async def test_from_an_empty_database_to_a_delivered_test_event_and_a_retried_failure(
    site: Site, browser: Browser, stack: Stack
):
    async with site.stranger(browser) as page:
        await site.sign_in(page)
        await page.goto(f"{site.url}/workspaces")
        await page.get_by_label("Name").fill("My app")
        await page.get_by_role("button", name="Create workspace").click()
        await create_connection(page)
        await create_rule(page)

        await page.get_by_role("button", name="Send test event").click()
        result = page.locator("#test-result")
        await expect(result).to_contain_text("Everything was accepted", timeout=30_000)
        await expect(result.locator(".answer")).to_have_count(2)
        assert [call.call for call in stack.calls(user=TEST_PERSON["userId"])] == [
            "identify",
            "track",
        ]

        stack.sim.fail("identify", fault=Fault(status=400, body="refused"), times=1)
        workspace = page.url.split("/w/")[1].split("/")[0]
        handle = await stack.emitter.emit("user.signup", SAMPLE, workspace=workspace)
        await stack.ended(handle)
        await page.get_by_role("navigation").get_by_role("link", name="Events").click()
        await page.locator("#rows").get_by_role("link", name="user.signup").click()
        await expect(page.get_by_text("Identify was not accepted")).to_be_visible()
        await page.get_by_role("button", name="Redeliver").click()
        await expect(page.get_by_text("Failed deliveries are sent again")).to_be_visible()
        await expect(page.locator("#log > .head")).to_contain_text("Delivered", timeout=20_000)
        identify = page.locator(".call").first
        await expect(identify.locator(".attempt")).to_have_count(2)
