"""What went wrong, how often, since when; and exactly that is delivered again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.async_api import Browser, expect

from destinations.customerio.simulator import EU_KEY, Fault
from tests.console.site import Site
from tests.integration.stack import SAMPLE, Stack, eventually
from tests.operations.many import visible

BAD_EMAIL = (
    '{"errors": [{"field": "traits.email", "message": "value is not a <b>valid</b> email"}]}'
)
WHY = "Customer.io refused `email` (400)"


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.slow
async def test_an_issue_is_found_understood_and_redelivered(
    site: Site, browser: Browser, stack: Stack, script: bool
):
    await stack.rule(await stack.connection("First"))
    await stack.rule(await stack.connection("Second", api_key=EU_KEY, region="eu"), "other")
    stack.sim.fail("identify", fault=Fault(status=400, body=BAD_EMAIL), region="us", times=2)
    stack.sim.fail("identify", fault=Fault(status=400), region="eu")
    handles = [await stack.emit(payload=SAMPLE | {"userId": f"u{n}"}) for n in range(2)]
    handles.append(await stack.emit("other"))
    for handle in handles:
        await stack.ended(handle)
    await visible(stack, "ExecutionStatus = 'Failed'", 3)
    async with site.visitor(browser, java_script_enabled=script) as page:
        await page.goto(site.at("/events?live=off"))
        await expect(page.locator(f"#e-{handles[0].id}")).to_contain_text(f"{WHY}.")
        await page.get_by_role("link", name="Issues").click()
        rows = page.get_by_role("row")
        await expect(rows).to_have_count(3)
        first = rows.nth(1)
        for said in (WHY, "First", "2"):
            await expect(first).to_contain_text(said)
        await expect(rows.nth(2)).to_contain_text("Customer.io refused the message (400).")
        await first.get_by_role("link", name="user.signup").click()
        whole = "Customer.io refused `email`: value is not a <b>valid</b> email."
        await expect(page.locator(".delivery .notice.bad")).to_have_text(whole)
        await page.get_by_role("link", name="Issues").click()
        await first.get_by_role("link", name="2", exact=True).click()
        await expect(page.locator("#rows tr")).to_have_count(2)
        await page.get_by_role("link", name="one issue").click()
        await first.get_by_role("link", name="Redeliver these").click()
        await expect(page.locator(".big")).to_have_text("2 events")
        await expect(page.get_by_label(f"Only where {WHY}")).to_be_checked()
        await page.get_by_role("button", name="Plan again").click()
        await expect(page.locator(".big")).to_have_text("2 events")
        await page.get_by_role("button", name="Redeliver 2 events").click()

        async def delivered() -> bool:
            return [call.call for call in stack.calls()].count("track") == 2

        await eventually(delivered)


async def test_an_issue_of_a_deleted_connection_says_so(site: Site, browser: Browser, stack: Stack):
    connection = await stack.connection("Gone")
    await stack.rule(connection)
    stack.sim.fail("identify", fault=Fault(status=400, body=BAD_EMAIL))
    await stack.ended(await stack.emit())
    await visible(stack, "ExecutionStatus = 'Failed'", 1)
    await stack.catalog.connections.delete(stack.organization, connection.id, force=True)
    async with site.visitor(browser) as page:
        await page.goto(site.at("/issues"))
        row = page.get_by_role("row").nth(1)
        for said in (WHY, "deleted connection", "can't be redelivered"):
            await expect(row).to_contain_text(said)
        await expect(row.get_by_role("link", name="Redeliver")).to_have_count(0)


async def test_yesterday_s_issues_are_yesterday_s_where_the_visitor_is(
    site: Site, browser: Browser, stack: Stack
):
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400, body=BAD_EMAIL))
    await stack.ended(await stack.emit())
    await visible(stack, "ExecutionStatus = 'Failed'", 1)
    noon = f"Etc/GMT{datetime.now(UTC).hour - 12:+}"  # it is noon there, so no day ends meanwhile
    async with site.visitor(browser, zone=noon) as page:
        await page.goto(site.at("/issues?range=today"))
        await expect(page.locator("main")).to_contain_text(WHY)
        await page.goto(site.at("/issues?range=yesterday"))
        await expect(page.locator("main")).to_contain_text("No event has failed in this time")


async def test_a_workspace_without_failures_says_so(site: Site, browser: Browser):
    async with site.visitor(browser) as page:
        await page.goto(site.at("/issues?range=1h"))
        await expect(page.locator("main")).to_contain_text("No event has failed in this time")
