"""The list that is alive: what is read there, how it is narrowed, and what is redelivered."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from catalog.scopes import READ
from delivery.result import Status
from delivery.transforms import zone
from destinations.customerio.simulator import Fault
from eventlog.counts import Bucket, count_over_time
from operations.event_redelivery import redeliver
from starter.console.routes import events
from starter.console.shared_reads import AT_ONCE
from tests.console.site import Site
from tests.console.test_rights import signed_in
from tests.integration.stack import SAMPLE, Stack
from tests.operations.many import visible

POLL = 3_000  # milliseconds, after which an open list asks again
MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.mark.slow
async def test_new_events_come_into_an_open_list_by_themselves(
    site: Site, browser: Browser, stack: Stack
):
    await stack.rule()
    async with site.visitor(browser) as page:
        await page.clock.install()
        await page.goto(site.at("/events"))
        await expect(page.locator("#rows")).to_contain_text("No events in this time range")
        first = await stack.emit(payload={"userId": "first"})
        await visible(stack, "ExecutionStatus = 'Completed'", 1)
        await page.clock.fast_forward(POLL)
        row = page.locator(f"#e-{first.id}")
        await expect(row).to_contain_text("Delivered")
        await row.get_by_role("link").focus()
        second = await stack.emit(payload={"userId": "second"})
        await visible(stack, "ExecutionStatus = 'Completed'", 2)
        await page.clock.fast_forward(POLL)
        await expect(page.locator(f"#e-{second.id}")).to_contain_text("Delivered")
        await expect(row.get_by_role("link")).to_be_focused()
        await page.get_by_role("link", name="Stop").click()
        assert await page.locator("#rows[hx-get]").count() == 0


async def test_a_list_does_not_wait_for_its_charts(
    site: Site, browser: Browser, stack: Stack, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(events, "SHOWN_AT_ONCE_SECONDS", 0.0)
    await stack.rule()
    await stack.ended(await stack.emit())
    await stack.listed(1)
    async with site.visitor(browser) as page:
        answer = await page.goto(site.at("/events"))
        assert answer is not None
        assert "Counting…" in await answer.text()
        await expect(page.locator("#rows tr")).to_have_count(1)
        await expect(page.locator(".counts")).to_contain_text("1 Completed")


@pytest.mark.slow
async def test_a_visitor_who_changes_filters_leaves_few_charts_being_counted(
    site: Site, stack: Stack, monkeypatch: pytest.MonkeyPatch
):
    """However many they request, and without delaying anyone else's."""
    counting, goes_on = 0, asyncio.Event()

    async def counted(*given: Any) -> list[Bucket]:
        nonlocal counting
        counting += 1
        await goes_on.wait()
        return await count_over_time(*given)

    monkeypatch.setattr(events, "count_over_time", counted)
    monkeypatch.setattr(events, "SHOWN_AT_ONCE_SECONDS", 0.0)
    async with signed_in(site, [READ]) as one, signed_in(site, [READ]) as other:
        for number in range(3 * AT_ONCE):
            answer = await one.get(site.at(f"/events?event=e{number}"))
            assert "Counting…" in answer.text
        assert counting == AT_ONCE
        await other.get(site.at("/events"))
        assert counting == AT_ONCE + 1
        goes_on.set()
        assert "0 Completed" in plain((await other.get(site.at("/events/charts"))).text)
        last = await one.get(site.at(f"/events/charts?event=e{3 * AT_ONCE - 1}"))
        assert "0 Completed" in plain(last.text)


def plain(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", markup).split())


@pytest.mark.slow
async def test_a_list_is_narrowed_and_goes_back_in_pages(
    site: Site, browser: Browser, stack: Stack
):
    connection = await stack.connection("Only one")
    await stack.rule(connection)
    names = ["user.signup", "page.view"]
    await asyncio.gather(*(stack.emit(names[n % 2], {"userId": "1"}) for n in range(53)))
    await stack.listed(53)
    async with site.visitor(browser) as page:
        await page.goto(site.at("/events?live=off"))
        assert await page.locator("#rows tr").count() == 50
        await page.get_by_role("link", name="Older").click()
        await expect(page.locator("#rows tr")).to_have_count(3)
        await page.get_by_role("link", name="Back to the latest").click()
        await page.get_by_label("Event", exact=True).fill("page.view")
        await expect(page.locator("#rows tr")).to_have_count(26)
        await page.get_by_label("Connection").select_option("Only one")
        await expect(page.locator("#rows")).to_contain_text("No events match these filters")


async def test_markup_from_outside_is_text(site: Site, browser: Browser, stack: Stack):
    rule = await stack.rule(event=MARKUP)
    stack.sim.fail("track", fault=Fault(status=400, body=MARKUP), times=1)
    payload = {"userId": "usr_1", MARKUP: MARKUP, "</pre>": "</textarea><h1>owned</h1>"}
    handle = await stack.emit(MARKUP, payload, resource=MARKUP)
    await stack.ended(handle)
    async with site.visitor(browser) as page:
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        for path in (
            "/events",
            f"/events/{handle.id}",
            "/rules",
            f"/rules/{rule.id}",
            "/redeliveries/new?plan=1&from=2026-01-01T00:00",
        ):
            await page.goto(site.at(path))
            assert await page.locator("img[src=x], main script").count() == 0, path
            assert await page.get_by_role("heading", name="owned").count() == 0, path
        await page.goto(site.at(f"/events/{handle.id}"))
        assert await page.get_by_role("heading", level=1).inner_text() == MARKUP
        await expect(page.locator(".attempt.bad pre")).to_have_text(MARKUP)
        await page.goto(site.at(f"/rules/{rule.id}"))
        assert "<h1>owned</h1>" in await page.get_by_label("Payload to try with").input_value()
        await expect(page.locator("#preview")).to_contain_text(MARKUP)
        assert dialogs == []


async def test_what_failed_is_redelivered_in_the_time_that_was_chosen(
    site: Site, browser: Browser, stack: Stack
):
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400), times=1)
    await stack.ended(await stack.emit())
    await visible(stack, "ExecutionStatus = 'Failed'", 1)
    almost_a_week = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=6, hours=23)
    start, end = "2026-01-02T03:04:05", "2099-01-02T03:04:05"
    async with site.visitor(browser) as page:

        async def planned_for(asked: str) -> tuple[str, str]:
            await page.goto(site.at(f"/events?status=failed&event=user.signup&{asked}"))
            await page.get_by_role("link", name="Redeliver all that failed").click()
            assert await page.get_by_label("Event type").input_value() == "user.signup"
            return (
                await page.locator("input[name=from]").input_value(),
                await page.locator("input[name=to]").input_value(),
            )

        assert await planned_for(f"from={start}&to={end}") == (start, end)
        since, until = await planned_for("range=7d")
        assert (datetime.fromisoformat(since) < almost_a_week, until) == (True, "")


@pytest.mark.slow
async def test_many_failed_events_are_delivered_again(site: Site, browser: Browser, stack: Stack):
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400), times=4)
    handles = [await stack.emit(payload=SAMPLE | {"userId": f"u{n}"}) for n in range(3)]
    for handle in handles:
        await stack.ended(handle)
    async with site.visitor(browser) as page:
        await page.goto(site.at("/redeliveries"))
        await page.get_by_role("link", name="Plan a redelivery").click()
        await page.get_by_role("button", name="Plan").click()
        await expect(page.locator(".big")).to_have_text("3 events")
        assert len(stack.calls()) == 3
        await page.get_by_role("button", name="Redeliver 3 events").click()
        progress = page.locator("#progress")
        await expect(progress).to_contain_text("Done", timeout=30_000)
        await expect(progress).to_contain_text("3 of 3 events: 3 redelivered, 0 skipped")
        await expect(progress.get_by_role("link", name="2 Delivered")).to_be_visible()
        await page.get_by_role("navigation").get_by_role("link", name="Redeliveries").click()
        row = page.get_by_role("row").nth(1)
        await expect(row).to_contain_text("Done")
        await expect(row).to_contain_text("2 delivered, 1 failed again")
        await row.get_by_role("link").first.click()
        await page.get_by_role("link", name="1 Failed again").click()
        [failed] = [one.id for one in handles if (await stack.ended(one)).status is Status.FAILED]
        await expect(page.locator("#rows tr")).to_have_count(1)
        await expect(page.locator(f"#e-{failed}")).to_contain_text("Failed")
        await expect(page.locator(".counts [aria-current]")).to_have_text("1 Failed")


async def test_filters_apply_as_they_are_chosen_and_the_address_keeps_them(
    site: Site, browser: Browser, stack: Stack
):
    await stack.rule()
    await stack.ended(await stack.emit())
    await stack.ended(await stack.emit("page.view", {"userId": "1"}))
    await stack.listed(2)
    async with site.visitor(browser) as page:
        await page.goto(site.at("/events"))
        rows = page.locator("#rows tr")
        await expect(rows).to_have_count(2)
        await expect(page.get_by_role("button", name="Show")).to_be_hidden()
        await page.get_by_label("Event", exact=True).fill("page.view")
        await expect(rows).to_have_count(1)
        await page.locator("select[name=status]").select_option("Failed")
        await expect(page.locator("#rows")).to_contain_text("No events match these filters")
        await page.reload()
        await expect(page.get_by_label("Event", exact=True)).to_have_value("page.view")
        await page.get_by_role("link", name="Clear the filters").click()
        await expect(rows).to_have_count(2)
    async with site.visitor(browser, java_script_enabled=False) as page:
        await page.goto(site.at("/events"))
        await page.get_by_label("Event", exact=True).fill("page.view")
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator("#rows tr")).to_have_count(1)


@pytest.mark.slow
async def test_times_are_read_where_the_visitor_is_and_in_utc_on_hover(
    site: Site, browser: Browser, stack: Stack
):
    await stack.rule()
    log = await stack.ended(await stack.emit())
    there = log.accepted_at.astimezone(zone("Pacific/Kiritimati"))
    async with site.visitor(browser, timezone_id="Pacific/Kiritimati", zone=None) as page:
        await page.goto(site.at("/events?range=today"))
        shown = page.locator(f"#e-{log.event_id} time")
        await expect(shown).to_have_text(f"today {there:%H:%M:%S}")
        await expect(shown).to_have_attribute("title", f"{log.accepted_at:%Y-%m-%d %H:%M:%S} UTC")
        assert "UTC" not in await page.inner_text("thead")
        await page.locator("select[name=range]").select_option("Yesterday")
        await expect(page.locator("#rows")).to_contain_text("No events in this time range")
        hour = f"{there:%Y-%m-%dT%H}"
        await page.get_by_text("Exact times").click()
        await page.get_by_label("From").fill(f"{hour}:00:00")
        await expect(shown).to_be_visible()
        await page.reload()
        await expect(page.get_by_label("From")).to_have_value(f"{hour}:00")
    async with site.visitor(browser, java_script_enabled=False, zone=None) as page:
        await page.goto(site.at("/events"))
        assert "Accepted (UTC)" in await page.inner_text("thead")


async def test_ticked_events_are_delivered_again(site: Site, browser: Browser, stack: Stack):
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400), times=3)
    failed = [await stack.emit(payload=SAMPLE | {"userId": f"u{n}"}) for n in range(3)]
    for handle in failed:
        await stack.ended(handle)
    await stack.ended(await stack.emit())
    await visible(stack, "ExecutionStatus = 'Failed'", 3)
    await stack.listed(4)
    async with site.visitor(browser) as page:
        await page.clock.install()
        await page.goto(site.at("/events"))
        ticks = page.locator("#rows .tick")
        await expect(ticks).to_have_count(3)
        button = page.get_by_role("button", name="Redeliver selected events")
        await expect(button).to_be_hidden()
        for handle in failed[:2]:
            await page.locator(f"#t-{handle.id}").check()
        async with page.expect_response("**/events/rows*"):
            await page.clock.fast_forward(POLL)
        await expect(page.locator(f"#t-{failed[0].id}")).to_be_checked()
        await button.click()
        await expect(page.locator("[role=status]:not(.banner)").first).to_contain_text(
            "are sent again"
        )
    statuses = [(await stack.ended(handle)).status for handle in failed]
    assert statuses == [Status.COMPLETED, Status.COMPLETED, Status.FAILED]
    entry = (await stack.catalog.audit.list(stack.organization, limit=1)).records[0]
    assert entry.act.name == "redeliver_ticked_events"
    assert {one.id for one in failed[:2]} <= set(entry.act.ids.values())
    async with site.visitor(browser) as page:
        await page.goto(site.at("/events?live=off"))
        await page.locator(f"#t-{failed[2].id}").check()
        await redeliver(stack.client, failed[2].id)
        await stack.ended(failed[2])
        await page.get_by_role("button", name="Redeliver selected events").click()
        await expect(page.get_by_role("alert")).to_contain_text("1 event could not be sent again")


async def test_events_sent_to_try_a_rule_have_a_list_of_their_own(
    site: Site, browser: Browser, stack: Stack
):
    rule = await stack.rule()
    real = await stack.emit()
    await stack.ended(real)
    tried = await stack.emit(only_rules=[rule.id], test=True)
    await stack.ended(tried)
    await stack.listed(2)
    async with site.visitor(browser) as page:
        await page.goto(site.at("/events"))
        await expect(page.locator("#rows tr")).to_have_count(1)
        await expect(page.locator(f"#e-{real.id}")).to_be_visible()
        await page.get_by_role("link", name="Test events").click()
        await expect(page.locator("#rows tr")).to_have_count(1)
        await expect(page.locator(f"#e-{tried.id}")).to_contain_text("Delivered")
        await expect(page.locator(".counts")).to_contain_text("1 Completed")
        await page.get_by_label("Event", exact=True).fill("user")
        await expect(page.locator("#rows")).to_contain_text("No events match these filters")
