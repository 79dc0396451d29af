"""Did she get it? Asked by whatever one knows of her, answered in one page."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from destinations.customerio.simulator import Fault
from tests.conftest import psql
from tests.console.site import Site
from tests.integration.stack import Stack


@pytest.mark.parametrize("script", [True, False])
async def test_a_person_is_searched_for_and_what_failed_is_read(
    site: Site, browser: Browser, stack: Stack, script: bool
):
    await stack.rule(await stack.connection("First"))
    await stack.rule(await stack.connection("Second"))
    stack.sim.fail("identify", fault=Fault(status=400), times=1)
    about = {"userId": "usr_2048", "email": "Ann@example.com"}
    failed = await stack.emit(payload=about)
    await stack.ended(failed)
    later = await stack.emit(payload={"email": "ann@example.com", "anonymousId": "visit-1"})
    other = await stack.emit(payload={"userId": "usr_1"})
    for handle in (later, other):
        await stack.ended(handle)
    await stack.listed(3)
    async with site.visitor(browser, java_script_enabled=script) as page:
        await page.goto(site.at("/events?live=off"))
        await page.get_by_label("Person", exact=True).fill(" ANN@example.com ")
        await page.get_by_role("button", name="Find").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("ann@example.com")
        assert "ann" not in page.url.lower()
        rows = page.locator("tbody")
        await expect(rows).to_have_count(2)
        assert [await row.get_attribute("id") for row in await rows.all()] == [
            f"e-{later.id}",
            f"e-{failed.id}",
        ]
        first = page.locator(f"#e-{failed.id}")
        for said in ("First", "Second", "Failed", "Delivered", "refused"):
            await expect(first).to_contain_text(said)
        await expect(page.locator("main")).to_contain_text("visit-1 (anonymous id)")
        await page.get_by_role("link", name="usr_2048").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("usr_2048")
        await expect(rows).to_have_count(1)
        await page.get_by_role("link", name="user.signup").click()
        facts = page.locator(".facts")
        await expect(facts.locator("dt").first).to_have_text("User id")
        await expect(facts).to_contain_text("Ann@example.com")
        await facts.get_by_role("link", name="usr_2048").click()
        await expect(rows).to_have_count(1)


async def test_nobody_is_found_who_is_not_there_and_it_says_what_may_be_missing(
    site: Site, browser: Browser, stack: Stack
):
    async with site.visitor(browser) as page:
        await page.goto(site.at("/events?live=off"))
        await page.get_by_label("Person", exact=True).fill("<b>nobody</b>")
        await page.get_by_role("button", name="Find").click()
        main = page.locator("main")
        await expect(main).to_contain_text("No event is about this person")
        await expect(main).not_to_contain_text("missing")
        for happened, said in (
            ("UPDATE fleet_uses SET since = clock_timestamp()", "Events accepted before"),
            ("DELETE FROM fleet_uses", "Any event may be missing"),
        ):
            async with psql(stack.database) as conn:
                await conn.execute(happened)
            await page.reload()
            await expect(main).to_contain_text(said)
