"""The tour of someone who doesn't code: from an empty database to a person who gets the event.

Everything is found by the texts on the page, and done either with the keyboard only or by clicks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from playwright.async_api import Locator, Page, expect

from delivery.result import Status
from destinations.customerio.simulator import US_KEY
from tests.console.site import Site
from tests.integration.stack import Stack

# Its address is an object, which identifies nobody.
ORDER: dict[str, Any] = {
    "userId": "usr_2048",
    "email": {"address": "ann@example.com"},
    "total": 49.9,
    "currency": "EUR",
}
MOST_TABS = 150

# Called at each stop, by its name.
Look = Callable[[Page, str], Awaitable[None]]


async def emit_order(stack: Stack, workspace: str) -> None:
    """Send the order from an app, and wait until it has failed."""
    handle = await stack.emitter.emit("order.paid", ORDER, workspace=workspace)
    assert (await stack.ended(handle)).status is Status.FAILED


class Hands:
    """Press and type as a person does who may have no pointer."""

    def __init__(self, page: Page, *, keyboard: bool) -> None:
        self.page = page
        self._keyboard = keyboard

    async def press(self, target: Locator, key: str = "Enter") -> None:
        if not self._keyboard:
            await target.click()
            return
        await self._reach(target)
        await self.page.keyboard.press(key)

    async def tick(self, target: Locator) -> None:
        await self.press(target, "Space")

    async def choose(self, target: Locator) -> None:
        """Choose a radio button, whose group has one place in the order of tabs."""
        if not self._keyboard:
            await target.click()
            return
        group = self.page.locator(f"input[name='{await target.get_attribute('name')}']:checked")
        await self._reach(group)
        while not await target.is_checked():
            await self.page.keyboard.press("ArrowDown")

    async def type(self, target: Locator, text: str) -> None:
        if not self._keyboard:
            await target.fill(text)
            return
        await self._reach(target)
        await self.page.keyboard.press("Control+a")
        await self.page.keyboard.type(text)

    async def _reach(self, target: Locator) -> None:
        """Go on by tabs until it has the focus."""
        await expect(target).to_be_visible()
        for _ in range(MOST_TABS):
            if await target.evaluate("element => element === document.activeElement"):
                return
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"no tab leads to {target}")


async def take_the_tour(
    page: Page, site: Site, emit: Callable[[str], Awaitable[None]], look: Look, *, keyboard: bool
) -> None:
    """Take it, as a stranger. `emit` sends `ORDER` from an app to the workspace, and waits until it
    has failed."""
    hands = Hands(page, keyboard=keyboard)
    button, link = _by_role(page, "button"), _by_role(page, "link")

    await page.goto(f"{site.url}/sign-in")
    await expect(page.get_by_text("Ask whoever runs emitonce for you")).to_be_visible()
    await look(page, "1-sign-in")
    await hands.type(page.get_by_label("Access key"), site.access_key)
    await hands.type(page.get_by_label("Secret key"), site.secret_key)
    await hands.press(button("Sign in"))
    await page.wait_for_url(lambda url: "/sign-in" not in url)

    await page.goto(f"{site.url}/workspaces")
    await hands.type(page.get_by_label("Name"), "My shop")
    await hands.press(button("Create workspace"))

    await hands.press(link("Connections"))
    await hands.press(link("New connection"))
    await hands.choose(page.get_by_label("United States"))
    await hands.type(page.get_by_label("CDP API key"), US_KEY)
    await hands.press(button("Verify"))
    await expect(page.locator("#verdict")).to_contain_text("Right")
    await look(page, "2-connection")
    await hands.press(button("Save connection"))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Customer.io")

    await hands.press(link("Rules"))
    await hands.press(link("New rule"))
    await hands.type(page.get_by_label("Event type"), "order.paid")
    await hands.choose(page.get_by_role("radio", name="Only these keys"))
    await hands.type(page.get_by_role("combobox", name="Only these keys"), "total, currency")
    await hands.press(button("Save rule"))
    await expect(page.get_by_text("The rule is saved.")).to_be_visible()
    await expect(page.get_by_text("Customer.io really gets a test event")).to_be_visible()
    await hands.press(button("Send test event"))
    result = page.locator("#test-result")
    await expect(result).to_contain_text("Everything was accepted")
    await look(page, "3-rule")

    await emit(page.url.split("/w/")[1].split("/")[0])
    await hands.press(link("Events"))
    await expect(page.locator("#rows")).to_contain_text("Failed")
    await look(page, "4-events")
    await hands.type(page.get_by_label("Person"), "usr_2048")
    await hands.press(button("Find"))
    await expect(page.get_by_role("heading", level=1)).to_have_text("usr_2048")
    await expect(page.get_by_role("main")).to_contain_text("is an object")
    await look(page, "5-person")
    await hands.press(page.get_by_role("main").get_by_role("link", name="order.paid"))
    await expect(page.locator(".delivery")).to_contain_text("is an object")
    await look(page, "6-why")

    await hands.press(page.locator(".delivery").get_by_role("link", name="order.paid"))
    preview = page.locator("#preview")
    await expect(preview).to_contain_text("is an object")
    await hands.type(page.get_by_label("email: path in the payload"), "email.address")
    await expect(preview.get_by_role("table", name="Person")).to_be_visible()
    await expect(preview.get_by_role("table", name="Properties")).to_contain_text("49.9")
    await look(page, "7-correction")
    await hands.press(button("Save rule"))
    await expect(page.get_by_text("Saved.")).to_be_visible()

    await hands.press(link("Events"))
    await hands.tick(page.locator("#rows .tick"))
    await look(page, "8-ticked")
    await hands.press(button("Redeliver selected events"))
    await expect(page.get_by_text("The selected events are sent again")).to_be_visible()
    await expect(page.locator("#rows tr")).to_contain_text("Delivered")
    await hands.press(page.locator("#rows a.row"))
    await expect(page.locator("#log > .head")).to_contain_text("Delivered")
    await look(page, "9-delivered")


def _by_role(page: Page, role: Any) -> Callable[[str], Locator]:
    return lambda name: page.get_by_role(role, name=name, exact=True)
