"""Every page: usable by everyone, small, on a phone, in the dark, without any script."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.console.axe import axe_source, faults
from tests.console.populated import Populated, populate
from tests.console.site import PHONE, WIDE, Site, open_site
from tests.integration.stack import Stack, eventually


@pytest_asyncio.fixture(scope="module")
async def there(shared_stack: Stack) -> Populated:
    return await populate(shared_stack)


@pytest_asyncio.fixture(scope="module")
async def shared_site(shared_stack: Stack) -> AsyncIterator[Site]:
    async with open_site(shared_stack) as site:
        yield site


@pytest.mark.slow
async def test_no_page_keeps_anybody_out(shared_site: Site, there: Populated, browser: Browser):
    """Nothing serious for axe-core, by day and by night; and nothing wider than a phone."""
    source, found = axe_source(), {}

    async def look(page: Page, name: str) -> None:
        await page.set_viewport_size(WIDE)
        await page.emulate_media(color_scheme="light")
        found[name] = await faults(page, source)
        await page.emulate_media(color_scheme="dark")
        found[f"{name}, dark"] = await faults(page, source, rule="color-contrast")
        await page.set_viewport_size(PHONE)
        beyond = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        found[f"{name}, phone"] = [f"{beyond} pixels too wide"] if beyond > 0 else []

    # Without animations: a part that is still sliding in doesn't have its colors yet.
    async with shared_site.stranger(browser, reduced_motion="reduce") as page:
        await page.goto(f"{shared_site.url}/sign-in")
        await look(page, "sign-in")
        await shared_site.sign_in(page)
        await page.goto(f"{shared_site.url}/workspaces")
        await look(page, "workspaces")
        pages = there.pages() | {"new-webhook": "/connections/new?type=webhook"}
        for name, path in pages.items():
            await page.goto(shared_site.at(path))
            await look(page, name)
    assert {where: what for where, what in found.items() if what} == {}


async def test_pages_are_read_without_any_script(
    shared_site: Site, there: Populated, browser: Browser
):
    async with shared_site.visitor(browser, java_script_enabled=False) as page:
        await page.goto(shared_site.at(f"/events/{there.failed}"))
        text = await page.inner_text("main")
        assert "Refused" in text
        assert "is not a name that is taken" in text
        await page.get_by_text("Payload", exact=True).click()
        assert "usr_2048" in await page.inner_text("#payload")
        await page.goto(shared_site.at("/events?status=failed"))
        assert await page.locator("#rows tr").count() == 1

        async def has_charts() -> bool:
            """A page leaves out charts that take long to count; what was counted is kept."""
            await page.reload()
            return await page.locator("svg.chart").count() >= 1

        await eventually(has_charts)


async def test_the_first_page_is_small(shared_site: Site, there: Populated, browser: Browser):
    async with shared_site.visitor(browser) as page:
        for path in ("", "/events", f"/rules/{there.rule}"):
            sizes: list[int] = []
            network = await page.context.new_cdp_session(page)
            await network.send("Network.enable")
            await network.send("Network.clearBrowserCache")
            network.on(
                "Network.loadingFinished",
                lambda told, to=sizes: to.append(told["encodedDataLength"]),
            )
            await page.goto(shared_site.at(path), wait_until="load")
            await network.detach()
            assert 5_000 < sum(sizes) < 100_000, path


async def test_a_whole_form_is_sent_with_the_keyboard_alone(
    shared_site: Site, there: Populated, browser: Browser
):
    async with shared_site.visitor(browser) as page:
        await page.goto(shared_site.at("/events"))
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
        await page.keyboard.press("Enter")
        for _ in range(5):
            await page.keyboard.press("Tab")
        await page.keyboard.type("trial.started")
        await page.keyboard.press("Enter")
        await page.wait_for_url(lambda url: "event=trial.started" in url)
        names = await page.locator("#rows a.row").all_inner_texts()
        assert set(names) == {"trial.started"}
