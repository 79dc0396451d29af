"""People sign in at npm's `oidc-provider` in a browser, and see what their role lets them do."""

from __future__ import annotations

import asyncpg  # type: ignore[import-untyped]
import httpx
import pytest
from playwright.async_api import Browser, expect

from starter.console.session import COOKIE
from tests.console.identity import USERS, acts, at_provider, sign_in_as, submit_login
from tests.console.site import Site
from tests.integration.stack import Stack

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("login", "may"),
    [("vera", ()), ("otto", ("Pause",)), ("ada", ("Pause", "Save changes"))],
)
async def test_each_role_may_do_what_is_its(
    real: list[Site], browser: Browser, stack: Stack, login: str, may: tuple[str, ...]
) -> None:
    connection = await stack.connection()
    site = real[0]
    path = f"/w/{stack.workspace}/connections/{connection.id}"
    async with site.stranger(browser) as page:
        await sign_in_as(page, site, login, path=path)
        await expect(page.get_by_text(str(USERS[login]["name"]))).to_be_visible()
        for button, scope in (("Pause", "operate"), ("Save changes", "manage")):
            found = page.locator("button", has_text=button).first
            assert await found.is_enabled() is (button in may)
            if button not in may:
                said = await found.get_attribute("title")
                assert said == f"Your sign-in lacks the scope {scope}"
        await page.get_by_text(str(USERS[login]["name"])).click()
        told = await page.locator(".who").inner_text()
        assert ("change workspaces" in told) is (login == "ada")


async def test_signed_out_here_is_signed_out_in_another_process(
    real: list[Site], browser: Browser
) -> None:
    one, other = real
    async with one.stranger(browser) as page:
        await sign_in_as(page, one, "ada", path="/workspaces")
        [cookie] = [c for c in await page.context.cookies() if c["name"] == COOKIE]
        assert (await page.goto(f"{other.url}/workspaces")).url.endswith("/workspaces")
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_url("**/sign-in")
        async with httpx.AsyncClient(cookies={COOKIE: cookie["value"]}) as copied:
            for site in real:
                assert (await copied.get(f"{site.url}/workspaces")).status_code == 303


async def test_who_has_no_role_gets_a_plain_page_and_no_session(
    real: list[Site], browser: Browser, stack: Stack
) -> None:
    async with real[0].stranger(browser) as page:
        await page.goto(f"{real[0].url}/sign-in")
        await page.get_by_role("link", name="Sign in with your").click()
        await submit_login(page, "nora")
        await expect(page.get_by_text("You have no role here")).to_be_visible()
        assert COOKIE not in [cookie["name"] for cookie in await page.context.cookies()]
    newest = (await acts(stack))[0]
    assert (newest.act.actor[:5], newest.outcome) == ("user:", "403")
    assert "nora" not in str(newest).lower()


async def test_keys_are_changed_by_who_has_just_signed_in(
    real: list[Site], browser: Browser, stack: Stack
) -> None:
    """The provider has asked for the password long ago; before keys change, it asks once more."""
    path = f"/w/{stack.workspace}/keys"
    async with real[0].stranger(browser) as page:
        await sign_in_as(page, real[0], "ada", path=path)
        make = page.get_by_role("button", name="New machine key")
        await expect(make).to_be_enabled()
        await set_back(stack, "proved_at", "11 minutes")
        await page.reload()
        await expect(make).to_be_disabled()
        assert await make.get_attribute("title") == "Sign in again first"
        token = await page.locator("[name=csrf]").first.input_value()
        cookies = {c["name"]: c["value"] for c in await page.context.cookies()}
        async with httpx.AsyncClient(base_url=real[0].url, cookies=cookies) as stale:
            fields = {"csrf": token, "name": "stale", "scope.read": "on"}
            assert (await stale.post(f"{path}/machine", data=fields)).status_code == 403
        await page.get_by_role("link", name="Sign in again").last.click()
        await at_provider(page, "ada")  # asked although the provider knows who this is
        await page.locator("#machine ~ form [name=name]").fill("fresh")
        await make.click()
        await expect(page.get_by_text("copy the secret now")).to_be_visible()
        async with httpx.AsyncClient(base_url=real[0].url, cookies=cookies) as before:
            assert (await before.get(path)).status_code == 303  # that session has ended
    names = {key.name for key in await stack.catalog.machine_keys.list(stack.organization)}
    assert "fresh" in names
    assert "stale" not in names


async def set_back(stack: Stack, column: str, by: str) -> None:
    conn = await asyncpg.connect(stack.database)
    await conn.execute(f"UPDATE console_sessions SET {column} = {column} - interval '{by}'")
    await conn.close()
