"""The console over real parts, and a person in front of a browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from playwright.async_api import Browser, Page

from catalog.worker_share import WorkerShare
from starter.api import served
from starter.console import Console, DevelopmentKey
from starter.console.session import COOKIE
from starter.console.zone import COOKIE as ZONE_COOKIE
from tests.api.caller import dependencies_of
from tests.conftest import on_server
from tests.integration.stack import Stack

WIDE = {"width": 1280, "height": 860}
TOKEN = re.compile(r'name="csrf" value="([^"]+)"')
PHONE = {"width": 390, "height": 844}


@dataclass
class Site:
    """A console that is served, with a key to sign in with."""

    stack: Stack
    url: str
    access_key: str
    secret_key: str
    cookie: str = ""

    def at(self, path: str = "", *, workspace: str | None = None) -> str:
        """The address of a page of a workspace, the stack's own by default."""
        return f"{self.url}/w/{workspace or self.stack.workspace}{path}"

    async def sign_in(self, page: Page) -> None:
        await page.goto(f"{self.url}/sign-in")
        await page.get_by_label("Access key").fill(self.access_key)
        await page.get_by_label("Secret key").fill(self.secret_key)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(lambda url: "/sign-in" not in url)

    @asynccontextmanager
    async def visitor(self, browser: Browser, **options: Any) -> AsyncIterator[Page]:
        """A page of someone who has signed in before."""
        if not self.cookie:
            async with httpx.AsyncClient(base_url=self.url) as http:
                answer = await sign_in(http, self.access_key, self.secret_key)
                self.cookie = answer.cookies[COOKIE]
        async with self.stranger(browser, **options) as page:
            await page.context.add_cookies(
                [{"name": COOKIE, "value": self.cookie, "url": self.url}]
            )
            yield page

    @asynccontextmanager
    async def stranger(self, browser: Browser, **options: Any) -> AsyncIterator[Page]:
        """A page of someone who has not signed in. A script's error fails the test.

        `zone` is the time zone that their browser has sent; None if it hasn't yet.
        """
        zone = options.pop("zone", "UTC")
        context = await browser.new_context(**({"viewport": WIDE} | options))
        context.set_default_timeout(20_000)
        if zone:  # otherwise the first page sends it, and is loaded again
            await context.add_cookies([{"name": ZONE_COOKIE, "value": zone, "url": self.url}])
        page = await context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda said: errors.append(said.text) if "Security Policy" in said.text else None,
        )
        try:
            yield page
        finally:
            await context.close()
        assert errors == []


async def sign_in(http: httpx.AsyncClient, access_key: str, secret_key: str) -> httpx.Response:
    """As the form of the sign-in page does it."""
    token = token_in(await http.get("/sign-in"))
    fields = {"access_key": access_key, "secret_key": secret_key, "csrf": token}
    return await http.post("/sign-in", data=fields)


def token_in(page: httpx.Response) -> str:
    """What a form of the page has to bring back."""
    found = TOKEN.search(page.text)
    assert found is not None
    return found[1]


@asynccontextmanager
async def open_site(
    stack: Stack,
    *,
    development: DevelopmentKey | None = None,
    serving: Mapping[str, Any] | None = None,
    **changes: Any,
) -> AsyncIterator[Site]:
    """`serving` is for the server, `changes` are of the API's parts."""

    parts = dependencies_of(stack, **changes)
    console = Console(parts, development=development)
    made = await stack.catalog.machine_keys.create(
        stack.organization, name="Ada", created_by="test"
    )
    async with (
        WorkerShare(stack.catalog.workers).kept(),  # so that no page warns that none is running
        served(parts, host="127.0.0.1", port=0, console=console, **(serving or {})) as url,
    ):
        yield Site(stack, url, made.key.access_key, made.secret_key.get_secret_value())


async def set_back(stack: Stack, column: str, by: str) -> None:
    """Set a time column of every session back."""
    change = f"UPDATE console_sessions SET {column} = {column} - interval '{by}'"
    await on_server(stack.database, change)


def first_choices(page: str) -> list[str]:
    """Return the texts of a page's primary buttons and links."""
    return re.findall(r'<(?:button|a)\b[^>]*class="[^"]*\bprimary"[^>]*>([^<]*)', page)
