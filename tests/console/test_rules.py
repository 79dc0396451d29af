"""A rule as it is typed: its mapping, what it would send, and what it is kept as."""

from __future__ import annotations

import json

from playwright.async_api import Browser, Page, expect

from delivery.mapping_schema import (
    Convert,
    Default,
    LiteralSource,
    MappedField,
    MappingSchema,
    PathSource,
)
from starter.test_person import TEST_PERSON
from tests.console.site import Site
from tests.integration.stack import SAMPLE, Stack


async def fill_user_id(page: Page, value: str) -> None:
    await page.get_by_label("userId: path in the payload, or fixed value").fill(value)


async def test_the_requests_follow_what_is_typed(site: Site, browser: Browser, stack: Stack):
    await stack.connection()
    async with site.visitor(browser) as page:
        await page.goto(site.at("/rules/new"))
        preview = page.locator("#preview")
        await page.get_by_label("Event type").fill("user.signup")
        await page.get_by_label("Payload to try with").fill('{"user": {"id": 7}, "plan": "pro"}')
        await expect(preview).to_contain_text("No userId and no email")
        await fill_user_id(page, "user.id")
        await expect(preview).to_contain_text('"userId": "7"')
        await fill_user_id(page, "not a path")
        await expect(preview).to_contain_text("A row of the mapping can't be read")
        await fill_user_id(page, "user.id")
        await page.get_by_label("Payload to try with").fill('{"a": ')
        await expect(preview).to_contain_text("is not JSON")
        await page.get_by_label("Payload to try with").fill('{"user": {"id": "cio_1"}}')
        await expect(preview).to_contain_text("Not sent.")
        await expect(preview).to_contain_text("starts with cio_")
    assert stack.calls() == []


async def test_a_mapping_is_kept_as_it_was_made(site: Site, browser: Browser, stack: Stack):
    connection = await stack.connection()
    async with site.visitor(browser) as page:
        await page.goto(site.at("/rules/new"))
        await page.get_by_label("Event type").fill("user.signup")
        await page.locator("tr", has_text="where userId is absent").locator("summary").click()
        await page.get_by_label("email: step 1").select_option("lower")
        await page.get_by_label("Name of another field").fill("source")
        await page.get_by_label("Another field: kind of source").select_option("fixed")
        await page.get_by_label("Another field: path in the payload").fill("12")
        await page.get_by_role("button", name="Add a field").click()
        further = page.get_by_label("Name of another field")
        await expect(further).to_have_count(3)
        await further.nth(1).fill("tier")
        await page.locator("tr").nth(6).get_by_label("path in the payload").fill("plan")
        await page.locator("tr").nth(6).locator("summary").click()
        await (
            page.locator("tr")
            .nth(6)
            .get_by_label("step 1", exact=False)
            .first.select_option("default")
        )
        await page.locator("tr").nth(6).get_by_label("value for step 1").fill("free")
        await page.get_by_role("button", name="Save rule").click()
        await expect(page.get_by_text("The rule is saved.")).to_be_visible()
        await page.get_by_role("button", name="Save rule").click()
        await expect(page.get_by_text("Saved.")).to_be_visible()
    stored = await stack.catalog.mappings.default(stack.organization, connection.id)
    assert stored is not None
    assert stored.version == 2
    by_name = {mapped.dest: mapped for mapped in stored.schema.fields}
    assert by_name["email"].transforms == (Convert(type="lower"),)
    assert by_name["source"].source == LiteralSource(type="literal", value=12)
    assert by_name["tier"].transforms == (Default(type="default", value="free"),)


async def test_another_connection_brings_its_own_mapping(
    site: Site, browser: Browser, stack: Stack
):
    await stack.connection("First")
    second = await stack.connection("Second")
    schema = MappingSchema(
        fields=(MappedField(dest="userId", source=PathSource(type="path", value="account.id")),)
    )
    await stack.catalog.mappings.put_default(stack.organization, second.id, schema=schema)
    async with site.visitor(browser) as page:
        await page.goto(site.at("/rules/new"))
        await page.get_by_label("Connection").select_option("Second (Customer.io US)")
        await expect(page.get_by_label("userId: path in the payload")).to_have_value("account.id")


async def test_a_mapping_that_somebody_else_has_changed_is_not_overwritten(
    site: Site, browser: Browser, stack: Stack
):
    rule = await stack.rule()
    async with site.visitor(browser) as one, site.visitor(browser) as other:
        for page, value in ((one, "first.id"), (other, "second.id")):
            await page.goto(site.at(f"/rules/{rule.id}"))
            await fill_user_id(page, value)
        await one.get_by_role("button", name="Save rule").click()
        await expect(one.get_by_text("Saved.")).to_be_visible()
        await other.get_by_role("button", name="Save rule").click()
        await expect(other.get_by_role("alert")).to_contain_text("Someone else has changed")
        await expect(other.get_by_label("userId: path in the payload")).to_have_value("second.id")
    stored = await stack.catalog.mappings.default(stack.organization, rule.connection)
    assert stored is not None
    assert stored.version == 2


async def test_the_last_real_event_fills_the_payload(site: Site, browser: Browser, stack: Stack):
    rule = await stack.rule()
    handle = await stack.emit(payload=SAMPLE | {"seats": 3})
    await stack.ended(handle)
    async with site.visitor(browser) as page:
        await page.goto(site.at(f"/rules/{rule.id}"))
        filled = json.loads(await page.get_by_label("Payload to try with").input_value())
        assert filled == SAMPLE | {"seats": 3} | {
            key: TEST_PERSON[key] for key in ("userId", "email")
        }
        await page.goto(site.at("/rules/new"))
        assert "emitonce-test" in await page.get_by_label("Payload to try with").input_value()
        await page.get_by_label("Event type").fill("user.signup")
        await page.get_by_role("button", name="Load the last real event").click()
        await expect(page.get_by_text("The last real event of this type")).to_be_visible()
        await expect(page.locator("#preview")).to_contain_text('"seats": 3')


async def test_a_test_event_tells_what_failed_and_wants_a_saved_rule(
    site: Site, browser: Browser, stack: Stack
):
    connection = await stack.connection(api_key="wrong-key")
    rule = await stack.rule(connection)
    async with site.visitor(browser) as page:
        await page.goto(site.at(f"/rules/{rule.id}"))
        send = page.get_by_role("button", name="Send test event")
        await send.click()
        result = page.locator("#test-result")
        await expect(result).to_contain_text("wrong key or wrong region")
        await expect(result).to_contain_text("Not sent, because identify was not accepted")
        await page.get_by_label("Event name", exact=True).fill("Changed")
        await send.click()
        await expect(result).to_contain_text("has changes that are not saved")


async def test_a_test_event_is_about_a_test_person_and_says_who_gets_it(
    site: Site, browser: Browser, stack: Stack
):
    connection = await stack.connection("Marketing")
    schema = MappingSchema(
        fields=(MappedField(dest="userId", source=PathSource(type="path", value="user.id")),)
    )
    await stack.catalog.mappings.put_default(stack.organization, connection.id, schema=schema)
    rule = await stack.rule(connection)
    real = {"user": {"id": "usr_2048"}, "email": "ann@example.com", "contact": "ann@example.com"}
    await stack.ended(await stack.emit(payload=real))
    async with site.visitor(browser) as page:
        await page.goto(site.at(f"/rules/{rule.id}"))
        await expect(page.get_by_text("Customer.io really gets a test event")).to_be_visible()
        payload = page.get_by_label("Payload to try with")
        assert "usr_2048" not in await payload.input_value()
        assert "ann@" not in await payload.input_value()
        warning = page.get_by_text("This is not the test person")
        await expect(warning).to_have_count(0)
        await page.get_by_role("button", name="Send test event").click()
        await expect(page.locator("#test-result")).to_contain_text("Everything was accepted")
        sent = stack.calls()[-2:]
        assert {call.body["userId"] for call in sent} == {TEST_PERSON["userId"]}
        await page.locator("#test-result").get_by_role("link", name="all test events").click()
        await expect(page.locator("#rows tr")).to_have_count(1)
        await page.goto(site.at(f"/rules/{rule.id}"))
        await payload.fill('{"user": {"id": "usr_2048"}}')
        await expect(warning).to_be_visible()


async def test_the_form_offers_what_the_payload_has_and_says_what_leads_nowhere(
    site: Site, browser: Browser, stack: Stack
):
    await stack.connection()
    async with site.visitor(browser) as page:
        await page.goto(site.at("/rules/new"))
        await page.get_by_label("Payload to try with").fill(
            '{"user": {"id": "u1"}, "items": [{"sku": "A"}], "total": 5}'
        )
        paths = page.locator("#paths option")
        await expect(paths).to_have_count(3)
        offered = [await path.get_attribute("value") for path in await paths.all()]
        assert offered == ["total", "user.id", "items.0.sku"]
        row = page.get_by_label("userId: path in the payload, or fixed value")
        assert await row.get_attribute("list") == "paths"
        await fill_user_id(page, "user.idd")
        preview = page.locator("#preview")
        await expect(preview).to_contain_text("userId: “user.idd” isn't in this payload")
        await fill_user_id(page, "user.id")
        await expect(preview).not_to_contain_text("isn't in this payload")
        await expect(preview.get_by_role("row", name="userId u1")).to_be_visible()
        await expect(preview.locator("pre").first).to_be_hidden()
        await preview.get_by_text("As JSON").click()
        await expect(preview.locator("pre").first).to_contain_text('"userId": "u1"')
        await page.get_by_label("Event type").fill("order.paid")
        await expect(preview.get_by_role("row", name="event order.paid")).to_be_visible()
        await expect(preview.locator("pre").first).to_be_visible()


async def test_a_mapping_is_shown_as_the_connections_with_the_rules_that_use_it(
    site: Site, browser: Browser, stack: Stack
):
    connection = await stack.connection("Marketing")
    schema = MappingSchema(
        fields=(
            MappedField(
                dest="email",
                source=PathSource(type="path", value="email"),
                transforms=(Convert(type="lower"), Default(type="default", value="none")),
            ),
        )
    )
    await stack.catalog.mappings.put_default(stack.organization, connection.id, schema=schema)
    first = await stack.rule(connection, "user.signup")
    await stack.rule(connection, "order.paid")
    await stack.rule(await stack.connection("Other"), "page.viewed")
    async with site.visitor(browser) as page:
        await page.goto(site.at(f"/rules/{first.id}"))
        mapping = page.get_by_role("region", name="The mapping of Marketing")
        await expect(mapping).to_contain_text("A change applies to another rule")
        await expect(mapping.get_by_role("link")).to_have_text(["order.paid"])
        await expect(mapping).to_contain_text("in lower case, then if it is empty, as none")


async def test_the_event_carries_what_the_rule_says(site: Site, browser: Browser, stack: Stack):
    await stack.connection()
    async with site.visitor(browser) as page:
        await page.goto(site.at("/rules/new"))
        await page.get_by_label("Event type").fill("order.paid")
        await page.get_by_label("Payload to try with").fill(
            '{"userId": "emitonce-test", "total": 49.9, "plan": "pro", "recipient": "eve"}'
        )
        preview = page.locator("#preview")
        await page.get_by_label("The whole payload").check()
        event = preview.get_by_role("table", name="Properties")
        await expect(event.get_by_role("row")).to_have_text(["total49.9", "planpro"])
        await expect(preview).to_contain_text("Recipient: left out of the event")
        await page.get_by_role("radio", name="Only these keys").check()
        keys = page.get_by_role("combobox", name="Only these keys")
        await keys.fill("total, coupon")
        await expect(event.get_by_role("row")).to_have_text(["total49.9"])
        await expect(preview).to_contain_text("this payload has no “coupon”")
        assert "total, plan" in [
            await one.get_attribute("value") for one in await page.locator("#keys option").all()
        ]
        await page.get_by_role("button", name="Save rule").click()
        await expect(page.get_by_text("The rule is saved.")).to_be_visible()
        await expect(keys).to_have_value("total, coupon")
    [rule] = (await stack.catalog.rules.list(stack.organization, workspace=stack.workspace)).records
    assert rule.metadata["track_properties"] == ["total", "coupon"]
    await stack.ended(await stack.emit("order.paid", SAMPLE | {"total": 49.9}))
    assert [event.properties for event in stack.sim.events] == [{"total": 49.9}]


async def test_errors_stand_beside_their_fields(site: Site, browser: Browser, stack: Stack):
    await stack.connection()
    async with site.visitor(browser) as page:
        await page.goto(site.at("/rules/new"))
        await page.get_by_label("Event type").fill("é" * 80)
        await page.get_by_role("button", name="Save rule").click()
        event = page.get_by_label("Event type")
        await expect(event).to_have_attribute("aria-invalid", "true")
        await expect(page.locator("#fault-event")).to_contain_text("160 bytes")
        await page.goto(site.at("/connections/new"))
        assert await page.get_by_label("Name").input_value() == "Customer.io"
        await page.get_by_label("Name").fill("顧" * 100)
        await page.get_by_label("CDP API key").fill("a-key")
        await page.get_by_role("button", name="Save connection").click()
        await expect(page.locator("#fault-name")).to_contain_text("must have at most 128 (160)")
        await expect(page.get_by_label("CDP API key")).to_have_value("a-key")
        await page.get_by_label("Name").fill("Customer.io (顧客) & more")
        await page.get_by_role("button", name="Save connection").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Customer.io (顧客) & more")
        await page.get_by_label("CDP API key").fill("two words")
        await page.get_by_label("Name").fill("Renamed")
        await page.get_by_role("button", name="Save changes").click()
        await expect(page.locator(".fault")).to_contain_text("holds a blank")
        await expect(page.get_by_label("Name")).to_have_value("Renamed")
    found = await stack.catalog.rules.list(stack.organization, workspace=stack.workspace)
    assert found.records == ()


async def test_a_rule_is_switched_off_and_deleted(site: Site, browser: Browser, stack: Stack):
    rule = await stack.rule()
    async with site.visitor(browser) as page:
        await page.goto(site.at("/rules"))
        await page.get_by_role("button", name="Switch off").click()
        await expect(page.locator("[role=status]:not(.banner)")).to_contain_text("The rule is off")
        assert not (await stack.catalog.rules.get(stack.organization, rule.id)).active
        await page.get_by_role("link", name="user.signup").click()
        await page.get_by_text("Delete this rule").click()
        await page.get_by_role("button", name="Delete the rule").click()
        await expect(page.get_by_text("No rules yet")).to_be_visible()
        await page.goto(site.at(f"/rules/{rule.id}"))
        await expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        await page.get_by_role("main").get_by_role("link", name="Rules").click()
        await expect(page.get_by_role("heading", name="Rules", exact=True)).to_be_visible()
