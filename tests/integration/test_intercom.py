"""An event on its way to Intercom: a contact first, then a tag or an event, each once."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from temporalio.client import Client

from catalog.connections import Connection
from delivery.mapping_schema import MappedField, MappingSchema, PathSource
from delivery.result import Status
from destinations.intercom.simulator import EU_TOKEN, TOKEN, VIP, Contact, IntercomSimulator
from destinations.simulator import Fault
from emitonce import EventHandle
from operations.event_redelivery import redeliver
from operations.steering import resume_connection
from tests.api.caller import assert_error, open_api
from tests.console.site import open_site, sign_in, token_in
from tests.guarantees.worker_process import worker_process
from tests.integration.stack import Stack, is_held, open_stack

EMAIL = "test@example.com"
REVOKED = '{"type":"error.list","errors":[{"code":"token_revoked"}]}'
PERSON = {"email": EMAIL, "external_id": "usr_2048", "name": "Test User", "plan": "pro"}

WITH_A_RIDDLE = MappingSchema(
    fields=(
        MappedField(dest="email", source=PathSource(type="path", value="email")),
        MappedField(dest="riddle", source=PathSource(type="path", value="plan")),
    )
)


def intercom_of(stack: Stack) -> IntercomSimulator:
    simulator: IntercomSimulator = stack.simulators["intercom"]
    return simulator


def calls(stack: Stack) -> list[str]:
    return [request.call for request in intercom_of(stack).requests]


def contact_of(stack: Stack) -> Contact:
    [contact] = intercom_of(stack).service.contacts.values()
    return contact


async def connect(stack: Stack, token: str = TOKEN, region: str = "us") -> Connection:
    return await stack.connect("intercom", access_token=token, region=region)


async def emit(stack: Stack, event: str = "user.signup", **payload: Any) -> EventHandle:
    return await stack.emit(event, {**PERSON, **payload})


async def test_a_contact_is_stored_and_tagged_and_its_log_shows_both_calls(stack: Stack) -> None:
    connection = await connect(stack)
    await stack.rule(connection, action="add_tag", id=VIP)
    await stack.rule(connection, "user.left", action="remove_tag", id=VIP)
    log = await stack.ended(await emit(stack))
    contact = contact_of(stack)
    assert (contact.external_id, contact.email, contact.tags) == ("usr_2048", EMAIL, {VIP})
    assert calls(stack) == ["find", "search", "create", "get", "tag"]
    [delivery] = log.deliveries
    assert delivery.status is Status.COMPLETED
    assert delivery.identify is not None
    assert delivery.track is not None
    person = {"external_id": "usr_2048", "email": EMAIL}
    assert delivery.track.request == {**person, "tag": VIP, "change": "add"}
    assert "Test User" not in str(delivery.identify.attempts[-1].response_excerpt)
    await stack.ended(await emit(stack, "user.left"))
    assert contact_of(stack).tags == set()


async def test_a_contact_is_stored_in_its_region(stack: Stack) -> None:
    await stack.rule(await connect(stack, EU_TOKEN, "eu"), action="track_event")
    assert (await stack.ended(await emit(stack))).status is Status.COMPLETED
    assert {request.region for request in intercom_of(stack).requests} == {"eu"}


async def test_nobody_without_a_name_of_theirs_is_stored_and_the_log_says_why(
    stack: Stack,
) -> None:
    await stack.rule(await connect(stack), action="add_tag", id=VIP)
    log = await stack.ended(await stack.emit(payload={"plan": "pro"}))
    [delivery] = log.deliveries
    assert "external_id have no value" in str(delivery.last_error)
    assert calls(stack) == []


async def test_a_tag_that_was_deleted_fails_track_until_it_is_redelivered(stack: Stack) -> None:
    await stack.rule(await connect(stack), action="add_tag", id=VIP)
    tags = intercom_of(stack).service.tags
    tags.pop(VIP)
    handle = await emit(stack)
    log = await stack.ended(handle)
    [delivery] = log.deliveries
    assert "404: there is no such tag" in str(delivery.last_error)
    assert delivery.reason is not None
    assert delivery.reason.code == "not_found"
    tags[VIP] = "VIP"
    await redeliver(stack.client, log.event_id)
    assert (await stack.ended(handle)).status is Status.COMPLETED
    assert contact_of(stack).tags == {VIP}


async def test_an_attribute_that_does_not_exist_is_named_and_no_event_sent(stack: Stack) -> None:
    connection = await connect(stack)
    await stack.catalog.mappings.put_default(
        stack.organization, connection.id, schema=WITH_A_RIDDLE
    )
    await stack.rule(connection, action="track_event")
    [delivery] = (await stack.ended(await emit(stack))).deliveries
    assert delivery.reason is not None
    assert (delivery.reason.code, delivery.reason.field) == (
        "parameter_invalid",
        "custom_attributes",
    )
    assert not intercom_of(stack).service.contacts
    assert "event" not in calls(stack)


@pytest.mark.slow
async def test_an_event_whose_answer_was_lost_or_that_is_redelivered_is_recorded_once(
    stack: Stack,
) -> None:
    await stack.rule(await connect(stack), action="track_event", event_metadata="plan")
    intercom = intercom_of(stack)
    intercom.fail("event", fault=Fault(kind="reset_after_store"), nth=[1])
    intercom.fail("event", fault=Fault(status=400, store="first"), nth=[2])
    handle = await emit(stack)
    log = await stack.ended(handle)
    assert log.status is Status.FAILED
    await redeliver(stack.client, log.event_id)
    assert (await stack.ended(handle)).status is Status.COMPLETED
    assert calls(stack).count("event") == 3
    [recorded] = intercom.service.occurrences
    assert (recorded.person, recorded.metadata) == ("usr_2048", {"plan": "pro"})


async def test_a_token_revoked_half_way_holds_track_until_there_is_a_new_one(stack: Stack) -> None:
    connection = await connect(stack)
    await stack.rule(connection, action="add_tag", id=VIP)
    intercom = intercom_of(stack)
    intercom.fail("tag", fault=Fault(status=401, body=REVOKED), times=1)
    handle = await emit(stack)
    await stack.log_when(handle, is_held)
    stored = await stack.catalog.connections.get(stack.organization, connection.id)
    assert (stored.status, stored.inactive_reason) == ("inactive", "oauth_authorization_revoked")
    intercom.service.tokens = {"new": "us"}
    await stack.catalog.connections.update(
        stack.organization, connection.id, fields={"access_token": "new"}
    )
    await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
    assert (await stack.ended(handle)).status is Status.COMPLETED
    assert calls(stack).count("create") == 1
    assert contact_of(stack).tags == {VIP}
    assert intercom.requests[-1].key == "new"


@pytest.mark.slow
async def test_a_limit_is_waited_for_until_its_reset(stack: Stack) -> None:
    await stack.rule(await connect(stack), action="track_event")
    headers = {"X-RateLimit-Reset": "1795456802", "Date": "Mon, 23 Nov 2026 18:00:00 GMT"}
    intercom_of(stack).fail("create", fault=Fault(status=429, headers=headers), times=1)
    log = await stack.ended(await emit(stack))
    assert log.status is Status.COMPLETED
    first, second = [one for one in intercom_of(stack).requests if one.call == "create"]
    assert second.received - first.received >= 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("person", "created"),
    [(PERSON, [200]), ({"email": EMAIL}, [200, 409])],
    ids=["external_id", "email"],
)
async def test_two_workers_that_store_a_new_contact_at_once_make_one(
    stack: Stack, person: dict[str, Any], created: list[int]
) -> None:
    """The search doesn't show it to either; by its external id it can be read at once."""
    await stack.rule(await connect(stack), action="track_event")
    intercom = intercom_of(stack)
    intercom.service.lagging = True
    intercom.fail("create", fault=Fault(delay=2), nth=[1])
    async with worker_process(stack):
        first = await stack.emit(payload=person)
        await intercom.until(lambda: bool(intercom.service.contacts), timeout=30)
        second = await stack.emit(payload=person)
        for handle in (first, second):
            assert (await stack.ended(handle)).status is Status.COMPLETED
    assert len(intercom.service.contacts) == 1
    answers = [one.status or 0 for one in intercom.requests if one.call == "create"]
    assert sorted(answers) == created
    assert calls(stack).count("update") == 1


async def test_tags_and_attributes_are_offered_and_the_rest_is_as_meshes_describes_it(
    stack: Stack,
) -> None:
    connection = await connect(stack)
    async with open_api(stack) as api:
        live = (await api.get(f"/connections/{connection.id}/actions")).json()
        assert live["add_tag"] == {"tags": [{"id": VIP, "name": "VIP"}]}
        fields = (await api.get(f"/connections/{connection.id}/fields")).json()["fields"]
        keys = [one["key"] for one in fields]
        assert keys == ["email", "external_id", "name", "phone", "plan", "seats", "paid"]
        shown = await api.get(f"/connections/{connection.id}")
        assert TOKEN not in shown.text
        records = (await api.get("/integrations")).json()["records"]
        [described] = [one for one in records if one["type"] == "intercom"]
        assert list(described["actions"]) == ["add_tag", "remove_tag", "track_event"]
        [tag] = described["actions"]["add_tag"]["data"]
        assert (tag["kind"], tag["field"], tag["from"]) == ("simple", "id", "tags")
        region, _ = described["authentication"]["fields"]
        assert [one["value"] for one in region["options"]] == ["us", "eu", "au"]
        body = {"workspace": stack.workspace, "connection": connection.id, "event": "user.signup"}
        refused = await api.post("/rules", body | {"metadata": {"action": "add_tag", "id": "a b"}})
        assert_error(refused, 400, "metadata.id")
        example = {"action": "track_event", "event_metadata": "plan, seats"}
        made = (await api.post("/rules", body | {"metadata": example})).json()["rule"]
        preview = (await api.post(f"/rules/{made['id']}/preview", {"payload": PERSON})).json()
        assert preview["identify"]["external_id"] == "usr_2048"
        assert preview["track"]["metadata"] == {"plan": "pro"}
        intercom_of(stack).service.tokens = {}
        fields = (await api.get(f"/connections/{connection.id}/fields")).json()["fields"]
        assert [one["key"] for one in fields] == keys[:4]


async def test_the_console_offers_the_tags_and_the_regions(stack: Stack) -> None:
    connection = await connect(stack)
    async with (
        open_site(stack) as site,
        httpx.AsyncClient(base_url=site.url, follow_redirects=True) as http,
    ):
        await sign_in(http, site.access_key, site.secret_key)
        base = f"/w/{stack.workspace}"
        page = await http.get(f"{base}/connections/new", params={"type": "intercom"})
        assert "Australia" in page.text
        page = await http.get(f"{base}/rules/new", params={"connection": connection.id})
        assert f'<option value="{VIP}">VIP</option>' in page.text
        form = {
            "csrf": token_in(page),
            "connection": connection.id,
            "of": connection.id,
            "event": "user.signup",
            "action": "add_tag",
            "i.id": VIP,
            "active": "on",
            "mapping_version": "1",
            "m.0.dest": "email",
            "m.0.value": "email",
        }
        saved = await http.post(f"{base}/rules", data=form)
        assert "The rule is saved" in saved.text


@pytest.mark.slow
@pytest.mark.parametrize("by", ["external_id", "email"])
async def test_a_worker_killed_at_any_call_leaves_each_effect_there_once(
    temporal: Client, database: str, by: str
) -> None:
    """Killed at each read, after a creation that no search shows yet, at a tag, and at an event."""
    async with open_stack(temporal, database, working=False) as stack:
        connection = await connect(stack)
        await stack.rule(connection, action="add_tag", id=VIP)
        await stack.rule(connection, "order.paid", action="track_event")
        intercom = intercom_of(stack)
        intercom.service.lagging = True
        stored = Fault(kind="stall", store="first")
        read = "find" if by == "external_id" else "search"
        stages = [
            ("read", "user.signup", read, Fault(kind="stall")),
            ("create", "user.signup", "create", stored),
            ("tag", "user.signup", "tag", stored),
            ("event", "order.paid", "event", stored),
        ]
        handles = []
        async with worker_process(stack) as worker:
            for name, event, call, fault in stages:
                intercom.clear_faults()
                intercom.fail(call, fault=fault, nth=[1])
                before = calls(stack).count(call)
                payload = {by: name if by == "external_id" else f"{name}@example.com"}
                handles.append(await stack.emit(event, payload))
                await intercom.until(
                    lambda call=call, before=before: calls(stack).count(call) > before, timeout=30
                )
            await worker.kill()
        intercom.clear_faults()
        async with worker_process(stack):
            if by == "email":
                # The killed worker knew the contact that was tagged; the search has to show it.
                await handles[1].result()
                intercom.service.catch_up()
            for handle in handles:
                await handle.result()
        service = intercom.service
        named = sorted(
            str(one.external_id or one.email).partition("@")[0] for one in service.contacts.values()
        )
        assert named == ["create", "event", "read", "tag"]
        tagged = [one for one in service.contacts.values() if one.tags]
        assert len(tagged) == 3
        assert len(service.occurrences) == 1
        made = calls(stack)
        assert (made.count("tag"), made.count("event")) == (4, 2)
