"""Deliveries of one event: what waits, has failed or is held, and what is done about it."""

from __future__ import annotations

from playwright.async_api import Browser, expect

from delivery.result import Status
from destinations.customerio.simulator import Fault
from tests.console.site import Site
from tests.integration.stack import Stack, is_held, waits


async def test_a_waiting_attempt_is_made_now_and_a_delivery_is_canceled(
    site: Site, browser: Browser, stack: Stack
):
    rule = await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503, headers={"Retry-After": "600"}), times=2)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    async with site.visitor(browser) as page:
        await page.goto(site.at(f"/events/{handle.id}"))
        await expect(page.locator(".attempt.next")).to_contain_text("Next attempt in 1")
        await page.get_by_role("button", name="Retry now").click()
        await expect(page.get_by_text("Retrying now")).to_be_visible()
        await expect(page.locator(".attempt.warn")).to_have_count(2)
        await expect(page.locator("#log > .head")).to_contain_text("Retrying")
        await page.get_by_role("button", name="Cancel delivery").click()
        await expect(page.get_by_text("What was already sent stays sent.")).to_be_visible()
        await expect(page.locator(f"#d-{rule.id}")).to_contain_text("Canceled")
    log = await stack.ended(handle)
    assert log.deliveries[0].status is Status.CANCELED
    assert log.deliveries[0].attempt_count == 2


async def test_a_failed_delivery_is_sent_again_beside_its_earlier_attempts(
    site: Site, browser: Browser, stack: Stack
):
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400, body="refused"), times=1)
    handle = await stack.emit()
    await stack.ended(handle)
    async with site.visitor(browser) as page:
        await page.goto(site.at(f"/events/{handle.id}"))
        await expect(page.get_by_text("Identify was not accepted")).to_be_visible()
        await page.get_by_role("button", name="Redeliver").click()
        await expect(page.get_by_text("Failed deliveries are sent again")).to_be_visible()
        await expect(page.locator("#log > .head")).to_contain_text("Delivered")
        await expect(page.locator(".call").first.locator(".attempt")).to_have_count(2)


async def test_a_button_that_comes_too_late_says_so(site: Site, browser: Browser, stack: Stack):
    rule = await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503, headers={"Retry-After": "600"}), times=1)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    async with site.visitor(browser) as page:
        await page.goto(site.at(f"/events/{handle.id}"))
        await page.route("**/log", lambda route: route.abort())
        run = stack.client.get_workflow_handle(handle.id)
        await run.cancel()
        await stack.ended(handle)
        await page.get_by_role("button", name="Cancel delivery").click()
        await expect(page.get_by_role("alert")).to_contain_text("ended")
        await expect(page.locator(f"#d-{rule.id}")).to_contain_text("Canceled")


async def test_a_wrong_key_holds_deliveries_until_the_right_one_is_entered(
    site: Site, browser: Browser, stack: Stack
):
    connection = await stack.connection("Held", api_key="wrong-key")
    await stack.rule(connection)
    handle = await stack.emit()
    await stack.log_when(handle, is_held)
    async with site.visitor(browser) as page:
        await page.goto(site.at(f"/events/{handle.id}"))
        await expect(page.locator("#log")).to_contain_text(
            "It continues once the connection is active again"
        )
        await page.goto(site.at("/connections"))
        await expect(page.get_by_role("row").nth(1)).to_contain_text("Inactive")
        await page.get_by_role("link", name="Held").click()
        await expect(page.locator("[role=status]:not(.banner)")).to_contain_text(
            "refused the credentials"
        )
        await expect(page.get_by_text("1 event waits for this connection")).to_be_visible()
        await page.get_by_role("button", name="Verify").click()
        await expect(page.locator("#verdict")).to_contain_text("Wrong")
        await page.get_by_label("CDP API key").fill("sim-eu-key")
        await page.get_by_role("button", name="Save changes").click()
        await page.wait_for_url("**?done=changed")  # it is sent in place, and leads on from there
        await page.get_by_role("button", name="Verify").click()
        await expect(page.locator("#verdict")).to_contain_text("Other region")
        await page.locator("input[name='f.region'][value=eu]").check()
        async with page.expect_navigation():  # the page says "Saved." already
            await page.get_by_role("button", name="Save changes").click()
        await expect(page.locator("[role=status]:not(.banner)")).to_contain_text("Saved.")
        assert "sim-eu-key" not in await page.content()
    assert (await stack.ended(handle)).status is Status.COMPLETED


async def test_deleting_a_connection_ends_what_waits_for_it(
    site: Site, browser: Browser, stack: Stack
):
    connection = await stack.connection("Going")
    await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    handle = await stack.emit()
    await stack.log_when(handle, is_held)
    async with site.visitor(browser) as page:
        await page.goto(site.at(f"/connections/{connection.id}"))
        await page.get_by_text("Delete this connection").click()
        await page.get_by_label("Delete its rules too").check()
        await page.get_by_role("button", name="Delete Going").click()
        await page.wait_for_url("**/connections?*")
    log = await stack.ended(handle)
    assert log.status is Status.FAILED
    assert "the connection was deleted" in (log.deliveries[0].last_error or "")
