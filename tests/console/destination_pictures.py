"""Take a picture of each destination's form, preview and log: `python -m … docs/destinations`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from playwright.async_api import Page

from destinations.webhook.simulator import WebhookSimulator
from starter.cli.logs import configure_logs
from tests.console.chromium import open_browser
from tests.console.pictures import open_stack_of_its_own
from tests.console.site import open_site
from tests.every_destination import samples
from worker import open_worker

SIZE = {"width": 1_040, "height": 800}


async def main(folder: Path) -> None:
    async with AsyncExitStack() as parts:
        receiver = await parts.enter_async_context(WebhookSimulator())
        allowed = "{}:{}".format(*receiver.address)
        opening = open_stack_of_its_own(working=False, allowed_private_hosts=allowed)
        stack = await parts.enter_async_context(opening)
        await parts.enter_async_context(
            open_worker(stack.client, stack.catalog, stack.clients, stack.settings)
        )
        site = await parts.enter_async_context(open_site(stack))
        browser = await parts.enter_async_context(open_browser())
        page = await parts.enter_async_context(
            site.visitor(browser, reduced_motion="reduce", viewport=SIZE)
        )
        for type, sample in samples(receiver.url).items():
            await page.goto(site.at(f"/connections/new?type={type}"))
            await take(page, folder / f"{type}-connection.png")
            of = (stack.catalog, stack.organization)
            connection = await sample.connect(*of, stack.workspace, type)
            rule = await sample.rule(*of, connection, f"{type}.example")
            await page.goto(site.at(f"/rules/{rule.id}"))
            await page.wait_for_selector("#preview pre", state="attached")
            await take(page, folder / f"{type}-preview.png")
            handle = await stack.emit(f"{type}.example")
            await stack.ended(handle)
            await page.goto(site.at(f"/events/{handle.id}"))
            await take(page, folder / f"{type}-log.png")


async def take(page: Page, path: Path) -> None:
    await page.locator("main").screenshot(path=path)


if __name__ == "__main__":
    configure_logs("error")
    chosen = Path(sys.argv[1])
    chosen.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(chosen))
