"""Take the pictures of embedded pages: `python -m tests.console.embed_pictures docs/embed`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from playwright.async_api import Browser

from starter.cli.logs import configure_logs
from tests.console.chromium import open_browser
from tests.console.host import Host, open_host
from tests.console.pictures import open_stack_of_its_own
from tests.console.populated import populate
from tests.console.site import PHONE, WIDE, open_site
from tests.console.test_embed import fits, show

THEME = {
    "accent": "#6d28d9",
    "accent-ink": "#fff",
    "page": "#faf7ff",
    "line": "#e2d8f5",
    "radius": "14px",
    "font": "Georgia, serif",
    "dark": False,
}
HIGHEST = 1_500


async def main(folder: Path) -> None:
    async with AsyncExitStack() as parts:
        stack = await parts.enter_async_context(open_stack_of_its_own())
        site = await parts.enter_async_context(open_site(stack))
        host = await parts.enter_async_context(
            open_host(site, scopes=["events.payload:read"], role="owner")
        )
        browser = await parts.enter_async_context(open_browser())
        there = (await populate(stack, rounds=3)).pages()
        for name, page, options in (
            ("dashboard", "/dashboard", {}),
            ("events-dark", there["events"], {"color_scheme": "dark"}),
            ("rule-themed", there["rule"], {"theme": THEME}),
            ("event-phone", there["event-retried"], {"viewport": PHONE}),
        ):
            await take(host, browser, folder / f"{name}.png", page, **options)


async def take(
    host: Host, browser: Browser, path: Path, at: str, *, theme: Any = None, **options: Any
) -> None:
    host.options["theme"] = theme or {}
    options = {"viewport": WIDE, "reduced_motion": "reduce", **options}
    async with host.visitor(browser, **options) as (page, frame):
        await show(frame, f"/w/{host.site.stack.workspace}{at}")
        await fits(page, frame)
        await page.evaluate("scrollTo(0, 0)")
        height = await page.evaluate("document.documentElement.scrollHeight")
        # A browser doesn't paint what of a frame is off the screen.
        width = options["viewport"]["width"]
        await page.set_viewport_size({"width": width, "height": min(height, HIGHEST)})
        await page.wait_for_timeout(500)
        await page.screenshot(path=path)


if __name__ == "__main__":
    configure_logs("error")
    chosen = Path(sys.argv[1])
    chosen.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(chosen))
