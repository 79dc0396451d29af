"""A product's customer does everything in the page that the product embeds."""

from __future__ import annotations

from playwright.async_api import Browser, expect

from destinations.customerio.simulator import US_KEY
from tests.console.host import Host, go


async def test_a_customer_connects_makes_a_rule_and_sees_what_was_delivered(
    host: Host, browser: Browser
) -> None:
    stack = host.site.stack
    async with host.visitor(browser, "?launch_page=connections") as (page, frame):
        await frame.get_by_role("link", name="New connection").click()
        await frame.get_by_label("Name").fill("Theirs")
        await frame.locator("input[name='f.region'][value=us]").check()
        await frame.get_by_label("CDP API key").fill(US_KEY)
        await frame.get_by_role("button", name="Verify").click()
        await expect(frame.locator("#verdict")).to_contain_text("Right")
        await frame.get_by_role("button", name="Save connection").click()
        await expect(frame.get_by_role("heading", name="Theirs", level=1)).to_be_visible()

        await go(frame, "Rules")
        await frame.get_by_role("link", name="New rule").click()
        await frame.get_by_label("Event type").fill("user.signup")
        await frame.get_by_label("Event name", exact=True).fill("Signed Up")
        await expect(frame.locator("#preview")).to_contain_text("Signed Up")
        await frame.get_by_role("button", name="Save rule").click()
        await expect(frame.get_by_text("The rule is saved.")).to_be_visible()
        await frame.get_by_role("button", name="Send test event").click()
        result = frame.locator("#test-result")
        await expect(result).to_contain_text("Everything was accepted", timeout=30_000)
        await result.get_by_role("link", name="Open the test event").click()
        await expect(frame.locator("#log")).to_contain_text("Delivered")
        await page.evaluate("history.back()")
        await expect(frame.get_by_role("button", name="Send test event")).to_be_visible()

        paths = [said["path"] for said in await host.heard(page, "meshes:navigate")]
        assert paths[:3] == ["/connections", "/connections/new", paths[2]]
        assert paths[2].startswith("/connections/")
        assert any(path.startswith("/events/") for path in paths)
        assert "launch=" not in frame.url
        assert await page.context.cookies() == []
    assert {call.call for call in stack.calls()} == {"identify", "track"}
