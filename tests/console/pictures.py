"""Take the pictures of the documentation: `python -m tests.console.pictures docs/console`,
or only those of the tour: with `tour` behind it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page

from engine.connect import connect
from engine.search_attributes import register_search_attributes
from process import migrate_database
from starter.cli.logs import configure_logs
from starter.console.single_sign_on import CALLBACK
from starter.dev.postgres import EmbeddedPostgres
from starter.dev.temporal_server import DevServer
from tests.console.chromium import open_browser
from tests.console.identity import (
    USERS,
    free_port,
    open_provider,
    open_signing_site,
    sign_in_as,
    submit_login,
)
from tests.console.populated import populate
from tests.console.site import PHONE, WIDE, Site, open_site
from tests.console.tour import emit_order, take_the_tour
from tests.integration.stack import Stack, open_stack

BY_NIGHT = ("event-retried", "events")
ON_A_PHONE = ("event-retried", "rule")
ON_THE_PHONE = "358"  # stops of the tour
HIGHEST = 1_760


@asynccontextmanager
async def open_stack_of_its_own(**overrides: Any) -> AsyncIterator[Stack]:
    """`overrides` are settings."""
    async with AsyncExitStack() as parts:
        data_dir = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="pictures-")))
        postgres = await EmbeddedPostgres.start(data_dir / "postgres", durable=False)
        parts.push_async_callback(postgres.stop)
        await migrate_database(postgres.dsn)
        server = await DevServer.start(data_dir, in_memory=True, ui=False)
        parts.push_async_callback(server.stop)
        client = await connect(server.address)
        await register_search_attributes(client)
        yield await parts.enter_async_context(open_stack(client, postgres.dsn, **overrides))


async def main(folder: Path) -> None:
    await take_tour(folder)
    async with AsyncExitStack() as parts:
        stack = await parts.enter_async_context(open_stack_of_its_own())
        site = await parts.enter_async_context(open_site(stack))
        browser = await parts.enter_async_context(open_browser())
        pages = (await populate(stack, rounds=3)).pages()
        async with site.stranger(browser) as page:
            await page.goto(f"{site.url}/sign-in")
            await page.screenshot(path=folder / "sign-in.png")
        await take_single_sign_on(stack, browser, folder)
        for kind, names, options in (
            ("", tuple(pages), {"viewport": WIDE}),
            ("-dark", BY_NIGHT, {"viewport": WIDE, "color_scheme": "dark"}),
            ("-phone", ON_A_PHONE, {"viewport": PHONE}),
        ):
            async with site.visitor(browser, reduced_motion="reduce", **options) as page:
                for name in names:
                    await page.goto(site.at(pages[name]))
                    await prepare(page, name, site)
                    await take(page, folder / f"{name}{kind}.png")


async def take_tour(folder: Path) -> None:
    """Take it twice, each time from an empty database."""
    for kind, stops, options in (
        ("", "123456789", {"viewport": WIDE}),
        ("-phone", ON_THE_PHONE, {"viewport": PHONE, "color_scheme": "dark"}),
    ):
        async with (
            open_stack_of_its_own() as stack,
            open_site(stack) as site,
            open_browser() as browser,
            site.stranger(browser, reduced_motion="reduce", **options) as page,
        ):

            async def look(page: Page, name: str, kind: str = kind, stops: str = stops) -> None:
                if name[0] in stops:
                    await take(page, folder / f"tour-{name}{kind}.png")

            emit = partial(emit_order, stack)
            await take_the_tour(page, site, emit, look, keyboard=False)


async def take_single_sign_on(stack: Stack, browser: Browser, folder: Path) -> None:
    """Sign in at a real provider as each role, sign out, and try the cookie in another process."""
    ports = [free_port() for _ in range(3)]
    redirects = [f"http://127.0.0.1:{port}{CALLBACK}" for port in ports[1:]]
    connection = await stack.connection("Signed in")
    path = f"/w/{stack.workspace}/connections/{connection.id}"
    async with (
        open_provider(ports[0], redirects) as issuer,
        open_signing_site(stack, issuer, ports[1]) as site,
        open_signing_site(stack, issuer, ports[2]) as other,
    ):
        async with site.stranger(browser) as page:
            await page.goto(f"{site.url}/sign-in")
            await page.screenshot(path=folder / "sign-in-provider.png")
        for login, role in (("vera", "viewer"), ("otto", "operator"), ("ada", "admin")):
            async with site.stranger(browser) as page:
                await sign_in_as(page, site, login, path=path)
                await page.get_by_text(str(USERS[login]["name"])).click()
                await page.screenshot(path=folder / f"signed-in-{role}.png")
                if role == "operator":
                    await page.get_by_text(str(USERS[login]["name"])).click()
                    await page.get_by_role("button", name="Pause").click()
                    await page.wait_for_selector("text=Paused.")
                if role == "admin":
                    await page.goto(f"{site.url}/sessions")
                    await page.screenshot(path=folder / "sessions.png")
                    await page.goto(f"{site.url}/audit")
                    await page.screenshot(path=folder / "audit.png")
                    cookies = await page.context.cookies()
                    await page.get_by_role("button", name="Sign out").click()
                    await page.wait_for_url("**/sign-in")
                    await page.context.add_cookies(cookies)  # type: ignore[arg-type]
                    await page.goto(f"{other.url}/workspaces")
                    await page.screenshot(path=folder / "signed-out.png")
        async with site.stranger(browser) as page:
            await page.goto(f"{site.url}/sign-in")
            await page.get_by_role("link", name="Sign in with your").click()
            await submit_login(page, "nora")
            await page.wait_for_selector("text=You have no role here")
            await page.screenshot(path=folder / "no-role.png")


async def prepare(page: Page, name: str, site: Site) -> None:
    if name == "rule":
        site.stack.sim.clear_faults()
        await page.get_by_role("button", name="Send test event").click()
        await page.wait_for_selector(".result", timeout=40_000)


async def take(page: Page, path: Path) -> None:
    height = await page.evaluate("document.documentElement.scrollHeight")
    width = page.viewport_size["width"] if page.viewport_size else 0
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, HIGHEST)}
    await page.screenshot(path=path, full_page=True, clip=clip)


if __name__ == "__main__":
    configure_logs("error")
    chosen = Path(sys.argv[1])
    chosen.mkdir(parents=True, exist_ok=True)
    asyncio.run(take_tour(chosen) if "tour" in sys.argv[2:] else main(chosen))
