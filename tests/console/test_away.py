"""What a page says when Temporal or the database is away: a sentence and a way back."""

from __future__ import annotations

from dataclasses import replace

import httpx
from playwright.async_api import Browser, expect

from engine.connect import connect
from tests.api.line import Line
from tests.console.site import Site, open_site, sign_in
from tests.integration.stack import Stack


async def test_pages_say_that_temporal_is_away(browser: Browser, stack: Stack):
    async with Line(stack.client) as line:
        client = await connect(line.address)
        async with open_site(replace(stack, client=client)) as site, site.visitor(browser) as page:
            await line.cut()
            await page.goto(site.at("/events"), timeout=60_000)
            title = page.get_by_role("heading", name="Temporarily unavailable")
            await expect(title).to_be_visible()
            text = await page.inner_text("main")
            assert "Temporal can't be asked now" in text
            assert "Traceback" not in text
            again = page.get_by_role("link", name="Try again")
            await expect(again).to_have_attribute("href", f"/w/{stack.workspace}/events")
            await page.get_by_role("main").get_by_role("link", name="Rules").click()
            await expect(page.get_by_text("No rules yet")).to_be_visible()


async def test_a_session_that_ended_leads_back_to_where_one_was(
    site: Site, browser: Browser, stack: Stack
):
    async with site.visitor(browser) as page:
        await page.goto(site.at("/connections/new"))
        await page.context.clear_cookies()
        await page.get_by_label("Name").fill("Customer io")
        await page.get_by_label("CDP API key").fill("some-key")
        await page.get_by_role("button", name="Save connection").click()
        await expect(page.locator("#not-saved")).to_contain_text("Your session has ended")
        assert await page.get_by_label("Name").input_value() == "Customer io"  # to copy from
        await page.goto(site.at("/rules"))
        await page.get_by_label("Access key").fill(site.access_key)
        await page.get_by_label("Secret key").fill(site.secret_key)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Rules", exact=True)).to_be_visible()


async def test_a_list_that_stays_open_beyond_its_session_asks_to_sign_in(
    site: Site, browser: Browser, stack: Stack
):
    async with site.visitor(browser) as page:
        await page.clock.install()
        await page.goto(site.at("/events"))
        await page.context.clear_cookies()
        await page.clock.fast_forward(3_000)
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_every_page_can_ask_how_deliveries_are(site: Site):
    async with httpx.AsyncClient(base_url=site.url) as http:
        await sign_in(http, site.access_key, site.secret_key)
        banner = await http.get("/banner", headers={"HX-Request": "true"})
        http.cookies.clear()
        ended = await http.get("/banner", headers={"HX-Request": "true"})
    assert banner.status_code == 200
    assert '<div id="banner"' in banner.text
    # What someone types into a form stays there until they send it.
    assert (ended.status_code, "HX-Refresh" in ended.headers) == (401, False)
