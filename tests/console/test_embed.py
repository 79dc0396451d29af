"""Pages embedded in a product on another origin, in a real browser."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import pytest
from playwright.async_api import Browser, Frame, Page, expect

from destinations.customerio.simulator import US_KEY
from tests.console.axe import axe_source, faults
from tests.console.host import Host, go, open_host
from tests.console.site import PHONE, WIDE, Site
from tests.integration.stack import eventually

pytestmark = pytest.mark.slow

OWN = {"session_type": "resource", "resource": "project", "resource_id": "prj_7"}

# A well-formed token that nobody has signed.
FORGED = ".".join(
    base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
    for part in ({"alg": "none"}, {"iat": 0, "exp": 300}, "")
)


async def test_a_token_is_refreshed_before_it_expires(host: Host, browser: Browser) -> None:
    async with host.site.stranger(browser) as page:
        await page.clock.install()
        await page.goto(f"{host.url}/?ttl_seconds=300")
        frame = await host.frame(page)
        await page.clock.fast_forward(225_000)  # not 240,000: loading took some time, too
        assert await host.heard(page, "meshes:token-refresh") == []
        await page.clock.fast_forward(16_000)
        await refreshed(host, page)
        await page.clock.resume()
        await go(frame, "Events")
        assert len(await host.heard(page, "meshes:token-refresh")) == 1
        assert await page.title() == "Acme"


async def refreshed(host: Host, page: Page) -> None:
    async def done() -> bool:
        return len(await host.heard(page, "meshes:token-refresh")) == 1

    await eventually(done)


async def test_after_a_401_the_token_is_refreshed_and_the_form_sent_again(
    host: Host, browser: Browser
) -> None:
    connection = await host.site.stack.connection()
    async with host.visitor(browser, "?launch_page=connections") as (page, frame):
        await frame.get_by_role("link", name=connection.name).click()
        await expect(frame.get_by_role("button", name="Pause")).to_be_visible()
        await host.refresh(await page.evaluate("session.session_id"))  # its token is stale now
        await frame.get_by_role("button", name="Pause").click()
        await expect(frame.get_by_role("button", name="Resume")).to_be_visible()
        await refreshed(host, page)
    found = await host.site.stack.catalog.connections.get(
        host.site.stack.organization, connection.id
    )
    assert found.status == "paused"


async def test_a_revoked_session_shows_that_it_has_ended(host: Host, browser: Browser) -> None:
    async with host.visitor(browser) as (page, frame):
        id = await page.evaluate("session.session_id")
        assert (await host.call("DELETE", f"/sessions/{id}")).json() == {"revoked": True}
        await page.clock.install()
        await frame.get_by_role("link", name="Rules").click()
        await refreshed(host, page)
        await page.clock.fast_forward(20_000)
        await expect(frame.get_by_role("alert")).to_contain_text("Your session has ended")
        assert len(await host.heard(page, "meshes:token-expired")) == 1
        assert await page.title() == "Expired"
        # The page stays as it was: someone may have typed into it.
        await expect(frame.get_by_role("heading", level=1)).to_have_text("Dashboard")
        assert frame.url.endswith("/dashboard")


async def test_a_session_that_nobody_refreshes_ends_with_its_token_until_there_is_another(
    host: Host, browser: Browser
) -> None:
    host.refreshes = False
    async with host.site.stranger(browser) as page:
        await page.clock.install()
        await page.goto(f"{host.url}/?ttl_seconds=300")
        frame = await host.frame(page)
        for seconds in (240, 59):
            await page.clock.fast_forward(seconds * 1_000)
        await refreshed(host, page)
        assert await host.heard(page, "meshes:token-expired") == []
        for seconds in (2, 16):
            await page.clock.fast_forward(seconds * 1_000)
        await expect(frame.get_by_role("alert")).to_contain_text("Your session has ended")
        assert await page.title() == "Expired"
        again = (await host.refresh(await page.evaluate("session.session_id"))).json()
        await authorize(page, again["access_token"])
        await expect(frame.get_by_role("alert")).to_have_count(0)
        await go(frame, "Events")


async def test_what_was_typed_is_kept_when_a_session_ends_and_sent_with_the_next_token(
    host: Host, browser: Browser
) -> None:
    host.refreshes = False
    async with host.visitor(browser, "?launch_page=connections") as (page, frame):
        await frame.get_by_role("link", name="New connection").click()
        await frame.get_by_label("Name").fill("Theirs")
        await frame.get_by_label("CDP API key").fill(US_KEY)
        id = await page.evaluate("session.session_id")
        await host.refresh(id)
        await page.clock.install()
        await frame.get_by_role("button", name="Save connection").click()
        await refreshed(host, page)
        await page.clock.fast_forward(20_000)
        await expect(frame.get_by_role("alert")).to_contain_text("Your session has ended")
        await authorize(page, (await host.refresh(id)).json()["access_token"])
        await frame.get_by_role("button", name="Save connection").click()
        await expect(frame.get_by_role("heading", name="Theirs", level=1)).to_be_visible()


async def authorize(page: Page, token: str) -> None:
    """As a host's own script may, at any time."""
    await page.evaluate(
        """([token, origin]) =>
            embed.frame.contentWindow.postMessage({ type: "meshes:auth", token }, origin)""",
        [token, await page.evaluate("new URL(session.launch_url).origin")],
    )


async def test_a_token_that_can_not_be_read_changes_nothing(host: Host, browser: Browser) -> None:
    async with host.visitor(browser) as (page, frame):
        for token in ("not a token", "a.e30.c"):  # the second one doesn't say when it expires
            async with page.expect_console_message(lambda said: "can't be read" in said.text):
                await authorize(page, token)
        await go(frame, "Events")
        assert await host.heard(page, "meshes:token-refresh") == []


async def test_a_browsers_wrong_clock_does_not_matter(host: Host, browser: Browser) -> None:
    async with host.site.stranger(browser) as page:
        await page.clock.install(time="2031-01-01T00:00:00Z")
        await page.goto(host.url)
        frame = await host.frame(page)
        await page.clock.fast_forward(1_000)
        assert await host.heard(page, "meshes:token-refresh") == []
        await page.clock.resume()
        await go(frame, "Events")


async def test_the_frame_is_as_high_as_its_page(host: Host, browser: Browser) -> None:
    await host.site.stack.rule()
    async with host.visitor(browser, "?launch_page=rules") as (page, frame):
        await fits(page, frame)
        await frame.get_by_role("link", name="New rule").click()
        await expect(frame.get_by_label("Event type")).to_be_visible()
        high = await fits(page, frame)
        assert await page.evaluate("scrollY") == 0  # what the host shows stays where it is
        await frame.get_by_text("More options").click()
        assert await fits(page, frame) > high
        await go(frame, "Rules")
        assert await fits(page, frame) < high
        heights = [said["height"] for said in await host.heard(page, "meshes:resize")]
        assert all(one != other for one, other in itertools.pairwise(heights))
        assert len(heights) < 12  # it settles


async def test_a_frame_is_no_higher_than_its_host_allows(host: Host, browser: Browser) -> None:
    await host.site.stack.rule()
    host.options["maxHeight"] = 600
    async with host.visitor(browser, "?launch_page=rules") as (page, frame):
        await frame.get_by_role("link", name="New rule").click()
        await expect(frame.get_by_label("Event type")).to_be_visible()

        async def stops() -> bool:
            told = [said["height"] for said in await host.heard(page, "meshes:resize")]
            return max(told) > 600 and await page.evaluate("embed.frame.offsetHeight") == 600

        await eventually(stops)


async def fits(page: Page, frame: Frame) -> float:
    """Wait until the frame is as high as its content, or as the least height; return it."""
    shown, needed = 0.0, -1.0

    async def settled() -> bool:
        nonlocal shown, needed
        shown = await page.evaluate("document.querySelector('iframe').offsetHeight")
        needed = await frame.evaluate("document.body.getBoundingClientRect().height")
        return abs(shown - max(needed, 480)) <= 1

    await eventually(settled)
    return shown


async def test_a_page_whose_origin_is_not_listed_sees_nothing(
    site: Site, host: Host, browser: Browser
) -> None:
    async with open_host(site, allowed_origins=[host.url]) as other:
        page = await browser.new_page()
        await page.clock.install()
        async with page.expect_console_message(lambda said: "frame-ancestors" in said.text):
            await page.goto(other.url)
        [_, frame] = page.frames
        assert "data-origins" not in await frame.content()
        assert await other.heard(page, "meshes:ready") == []
        await page.clock.fast_forward(14_000)
        assert await page.title() == "Acme"
        await page.clock.fast_forward(2_000)
        assert await page.title() == "Failed"
        await page.close()


async def test_messages_of_other_windows_and_origins_are_not_heard(
    host: Host, site: Site, browser: Browser
) -> None:
    async with host.visitor(browser) as (page, frame), open_host(site) as other:
        await page.evaluate(
            """(url) => new Promise((resolve) => {
                const stranger = document.createElement("iframe");
                stranger.src = url + "/stranger";
                stranger.onload = resolve;
                document.body.append(stranger);
            })""",
            other.url,
        )
        stranger = next(one for one in page.frames if one.url.endswith("/stranger"))
        height = await page.evaluate("embed.frame.offsetHeight")
        await stranger.evaluate(
            """(token) => {
                for (const there of [parent, parent.frames[0]]) {
                    there.postMessage({ type: "meshes:auth", token }, "*");
                    there.postMessage({ type: "meshes:resize", height: 9999 }, "*");
                    there.postMessage({ type: "meshes:token-expired" }, "*");
                }
            }""",
            FORGED,
        )
        await go(frame, "Events")
        assert await host.heard(page, "meshes:token-refresh") == []
        assert await page.title() == "Acme"
        assert await page.evaluate("embed.frame.offsetHeight") < 9999
        assert height >= 480


async def test_a_message_needs_the_right_window_and_the_right_origin(
    host: Host, site: Site, browser: Browser
) -> None:
    """Both are checked, since either can be right by itself: another window of the same origin, or
    the right window with another page in it."""
    async with host.visitor(browser) as (page, frame):
        beside = await open_beside(page, f"{host.url}/stranger")
        own = await open_beside(page, (await host.create())["launch_url"])
        await beside.evaluate(
            "(token) => parent.frames[0].postMessage({ type: 'meshes:auth', token }, '*')", FORGED
        )
        await own.evaluate("parent.postMessage({ type: 'meshes:token-expired' }, '*')")
        await go(frame, "Events")
        assert await host.heard(page, "meshes:token-refresh") == []
        assert len(await host.heard(page, "meshes:token-expired")) == 1
        assert await page.title() == "Acme"
        async with open_host(site) as other:
            await page.evaluate("(url) => { embed.frame.src = url; }", f"{other.url}/stranger")
            await frame.wait_for_url(f"{other.url}/stranger")
            await frame.evaluate("parent.postMessage({ type: 'meshes:token-expired' }, '*')")

            async def heard() -> bool:
                return len(await host.heard(page, "meshes:token-expired")) == 2

            await eventually(heard)
            assert await page.title() == "Acme"


async def open_beside(page: Page, url: str) -> Frame:
    """Another frame in the host's page."""
    element = await page.evaluate_handle(
        """(url) => new Promise((resolve) => {
            const beside = document.createElement("iframe");
            beside.src = url;
            beside.onload = () => resolve(beside);
            document.body.append(beside);
        })""",
        url,
    )
    found = await element.as_element().content_frame()
    assert found is not None
    return found


async def test_a_theme_dresses_the_page_and_fetches_nothing(host: Host, browser: Browser) -> None:
    host.options["theme"] = {
        "accent": "#6d28d9",
        "page": "url(https://attacker.example/x)",
        "radius": "14px",
        "font": "Georgia",
        "dark": True,
    }
    asked: list[str] = []
    async with host.site.stranger(browser, color_scheme="light") as page:
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(host.url)
        frame = await host.frame(page)
        style = "getComputedStyle(document.body)"
        assert await frame.evaluate(f"{style}.backgroundColor") == "rgb(21, 21, 19)"
        assert "Georgia" in await frame.evaluate(f"{style}.fontFamily")
        root = "getComputedStyle(document.documentElement)"
        assert await frame.evaluate(f"{root}.getPropertyValue('--accent')") == "#6d28d9"
        assert await frame.evaluate(f"{root}.getPropertyValue('--radius')") == "14px"
    assert not any("attacker" in url or "Georgia" in url for url in asked)


async def test_nobody_is_kept_out(host: Host, browser: Browser) -> None:
    """Nothing serious for axe-core, by day and by night, and nothing wider than a phone."""
    stack = host.site.stack
    connection = await stack.connection()
    rule = await stack.rule(connection)
    handle = await stack.emit()
    await stack.ended(handle)
    at = f"/w/{stack.workspace}"
    source, found = axe_source(), {}
    async with host.visitor(browser, reduced_motion="reduce") as (page, frame):
        for path in (
            "/dashboard",
            "/connections",
            "/connections/new",
            f"/connections/{connection.id}",
            "/rules",
            "/rules/new",
            f"/rules/{rule.id}",
            "/events",
            f"/events/{handle.id}",
        ):
            await page.set_viewport_size(WIDE)
            await show(frame, f"{at}{path}")
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                found[f"{path}, {scheme}"] = await faults(frame, source)
            await page.set_viewport_size(PHONE)
            beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            wide = await frame.evaluate(beyond)
            found[f"{path}, phone"] = [f"{wide} pixels too wide"] if wide > 0 else []
    assert {where: what for where, what in found.items() if what} == {}


async def show(frame: Frame, path: str) -> None:
    """Follow a link to a page, which may be one that no page has."""
    await frame.evaluate(
        """(path) => {
            const link = document.createElement("a");
            link.href = path;
            document.querySelector("main").append(link);
            htmx.process(link);
            link.click();
        }""",
        path,
    )
    await frame.wait_for_function("(path) => location.pathname === path", arg=path)
    await frame.wait_for_selector("#page h1")


async def test_a_phone_shows_how_each_event_stands(host: Host, browser: Browser) -> None:
    await host.site.stack.rule()
    await host.site.stack.ended(await host.site.stack.emit())
    await host.site.stack.listed(1)
    async with host.visitor(browser, "?launch_page=events", viewport=PHONE) as (_, frame):
        status = frame.locator("#rows").get_by_text("Delivered")
        await status.scroll_into_view_if_needed()
        await expect(status).to_be_in_viewport(ratio=1)
        assert await frame.evaluate("document.querySelector('.scroll').scrollLeft") == 0


async def test_a_form_is_sent_with_the_keyboard_alone(host: Host, browser: Browser) -> None:
    connection = await host.site.stack.connection()
    async with host.visitor(browser, "?launch_page=connections") as (_, frame):
        await frame.get_by_role("link", name=connection.name).focus()
        await frame.page.keyboard.press("Enter")
        await expect(frame.get_by_role("heading", name=connection.name, level=1)).to_be_visible()
        await eventually(lambda: focused(frame, "main"))
        for _ in range(40):
            await frame.page.keyboard.press("Tab")
            if await focused(frame, "Pause"):
                break
        await frame.page.keyboard.press("Enter")
        await expect(frame.get_by_role("button", name="Resume")).to_be_visible()


async def focused(frame: Frame, what: str) -> bool:
    element: dict[str, Any] = await frame.evaluate(
        "({id: document.activeElement.id, text: document.activeElement.textContent})"
    )
    return element["id"] == what or element["text"] == what


async def test_the_first_page_is_small(host: Host, browser: Browser) -> None:
    async with host.site.stranger(browser) as page:
        sizes: list[int] = []

        async def measure(request: Any) -> None:
            if request.url.startswith(host.site.url):
                taken = await request.sizes()
                sizes.append(taken["responseBodySize"] + taken["responseHeadersSize"])

        page.on("requestfinished", measure)
        await page.goto(host.url)
        await host.frame(page)
        await eventually(lambda: at_least(sizes, 5))
    assert 20_000 < sum(sizes) < 60_000


async def at_least(sizes: list[int], number: int) -> bool:
    return len(sizes) >= number
