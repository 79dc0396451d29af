"""An event on its way to Mailchimp: a contact gets its status, an event is recorded after it."""

from __future__ import annotations

import httpx
import pytest
from temporalio.client import Client

from catalog.connections import Connection
from delivery.result import Status
from destinations.mailchimp.simulator import KEY, NEWS, MailchimpSimulator, hash_of
from destinations.simulator import Fault
from emitonce import EventHandle
from operations.event_redelivery import redeliver
from operations.steering import resume_connection
from tests.api.caller import assert_error, open_api
from tests.console.site import open_site, sign_in, token_in
from tests.guarantees.worker_process import worker_process
from tests.integration.stack import SAMPLE, Stack, is_held, open_stack

EMAIL = "test@example.com"
NEW_KEY = "fedcba9876543210-us6"


def mailchimp_of(stack: Stack) -> MailchimpSimulator:
    simulator: MailchimpSimulator = stack.simulators["mailchimp"]
    return simulator


def calls(stack: Stack) -> list[str]:
    return [request.call for request in mailchimp_of(stack).requests]


def statuses(stack: Stack) -> dict[str, str]:
    contacts = mailchimp_of(stack).service.audiences[NEWS].contacts.values()
    return {one.email: one.status for one in contacts}


async def connect(stack: Stack, key: str = KEY) -> Connection:
    return await stack.connect("mailchimp", api_key=key, data_center="us6")


async def test_a_contact_is_subscribed_and_unsubscribed_by_one_call_each(stack: Stack) -> None:
    connection = await connect(stack)
    await stack.rule(connection, action="add_to_list", id=NEWS)
    await stack.rule(connection, "user.left", action="remove_from_list", id=NEWS)
    log = await stack.ended(await stack.emit())
    assert statuses(stack) == {EMAIL: "subscribed"}
    [delivery] = log.deliveries
    assert (delivery.status, delivery.track) == (Status.COMPLETED, None)
    assert delivery.identify is not None
    assert delivery.identify.request["list_id"] == NEWS
    kept = str(delivery.identify.attempts[-1].response_excerpt)
    assert '"status":"subscribed"' in kept
    assert EMAIL not in kept
    assert hash_of(EMAIL) not in kept
    await stack.ended(await stack.emit("user.left"))
    assert statuses(stack) == {EMAIL: "unsubscribed"}
    assert calls(stack) == ["member", "member"]


async def test_who_has_left_stays_unsubscribed_and_the_log_says_so(stack: Stack) -> None:
    await stack.rule(await connect(stack), action="add_to_list", id=NEWS)
    await stack.ended(await stack.emit())
    mailchimp_of(stack).service.audiences[NEWS].leave(EMAIL)
    log = await stack.ended(await stack.emit())
    assert log.status is Status.FAILED
    [delivery] = log.deliveries
    assert "Mailchimp subscribes them only when they sign up themselves" in str(delivery.last_error)
    assert statuses(stack) == {EMAIL: "unsubscribed"}
    assert calls(stack) == ["member", "member"]


async def test_an_audience_that_was_deleted_gets_no_event_until_the_rule_names_another(
    stack: Stack,
) -> None:
    await stack.rule(await connect(stack), action="track_event", id=NEWS, event_properties="plan")
    audiences = mailchimp_of(stack).service.audiences
    gone = audiences.pop(NEWS)
    handle = await stack.emit()
    log = await stack.ended(handle)
    [delivery] = log.deliveries
    assert "404: the audience isn't there" in str(delivery.last_error)
    assert calls(stack) == ["member"]
    audiences[NEWS] = gone
    await redeliver(stack.client, log.event_id)
    assert (await stack.ended(handle)).status is Status.COMPLETED
    [recorded] = mailchimp_of(stack).service.occurrences
    assert (recorded.name, recorded.properties) == ("user.signup", {"plan": "pro"})
    assert statuses(stack) == {EMAIL: "transactional"}


async def test_an_event_without_an_address_fails_before_anything_is_sent(stack: Stack) -> None:
    await stack.rule(await connect(stack), action="track_event", id=NEWS)
    log = await stack.ended(await stack.emit(payload={"userId": "usr_2048"}))
    [delivery] = log.deliveries
    assert "email: has no value" in str(delivery.last_error)
    assert not calls(stack)


@pytest.mark.slow
async def test_a_throttled_contact_is_tried_again_whichever_way_it_is_said(stack: Stack) -> None:
    await stack.rule(await connect(stack), action="add_to_list", id=NEWS)
    mailchimp = mailchimp_of(stack)
    mailchimp.fail("member", fault=Fault(status=429, body='{"title":"Too Many Requests"}'), nth=[1])
    mailchimp.fail("member", fault=Fault(status=403, body=""), nth=[2])
    log = await stack.ended(await stack.emit())
    assert log.status is Status.COMPLETED
    [delivery] = log.deliveries
    assert delivery.identify is not None
    assert [one.outcome_code for one in delivery.identify.attempts] == [
        "rate_limited",
        "rate_limited",
        "delivered",
    ]


async def test_a_key_revoked_half_way_holds_track_until_there_is_a_new_one(stack: Stack) -> None:
    connection = await connect(stack)
    await stack.rule(connection, action="track_event", id=NEWS)
    mailchimp = mailchimp_of(stack)
    mailchimp.fail("event", fault=Fault(status=401, body='{"title":"API Key Invalid"}'), times=1)
    handle = await stack.emit()
    await stack.log_when(handle, is_held)
    stored = await stack.catalog.connections.get(stack.organization, connection.id)
    assert (stored.status, stored.inactive_reason) == ("inactive", "authentication_invalid")
    assert calls(stack) == ["member", "event"]
    mailchimp.service.keys = {NEW_KEY}
    await stack.catalog.connections.update(
        stack.organization, connection.id, fields={"api_key": NEW_KEY}
    )
    await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
    assert (await stack.ended(handle)).status is Status.COMPLETED
    assert calls(stack) == ["member", "event", "event"]
    assert mailchimp.requests[-1].key == NEW_KEY


async def test_api_and_console_offer_audiences_and_merge_fields_and_hide_the_key(
    stack: Stack,
) -> None:
    connection = await connect(stack)
    async with open_api(stack) as api:
        live = (await api.get(f"/connections/{connection.id}/actions")).json()
        assert live["add_to_list"] == {"lists": [{"id": NEWS, "name": "News"}]}
        fields = (await api.get(f"/connections/{connection.id}/fields")).json()["fields"]
        keys = [one["key"] for one in fields]
        assert keys == ["email", "ip_signup", "FNAME", "LNAME", "ADDRESS", "PHONE", "PLAN"]
        shown = await api.get(f"/connections/{connection.id}")
        assert KEY not in shown.text
        assert shown.json()["metadata"]["data_center"] == "us6"
        wrong = {"name": "Acme", "type": "mailchimp", "metadata": {"api_key": "abc-us7"}}
        refused = await api.call("PUT", f"/connections/{connection.id}", wrong)
        assert_error(refused, 400, "metadata.data_center")
        [described] = [
            one
            for one in (await api.get("/integrations")).json()["records"]
            if one["type"] == "mailchimp"
        ]
        assert list(described["actions"]) == ["add_to_list", "remove_from_list", "track_event"]
        [audience] = described["actions"]["add_to_list"]["data"]
        assert (audience["kind"], audience["field"], audience["from"]) == ("simple", "id", "lists")
        assert [one["key"] for one in described["authentication"]["fields"]] == [
            "api_key",
            "data_center",
        ]
        body = {"workspace": stack.workspace, "connection": connection.id, "event": "user.signup"}
        metadata = {"action": "track_event", "id": NEWS}
        made = (await api.post("/rules", body | {"metadata": metadata})).json()["rule"]
        preview = await api.post(f"/rules/{made['id']}/preview", {"payload": SAMPLE})
        assert preview.json()["identify"]["member"]["email_address"] == EMAIL
        assert preview.json()["track"]["event"]["name"] == "user.signup"
    async with (
        open_site(stack) as site,
        httpx.AsyncClient(base_url=site.url, follow_redirects=True) as http,
    ):
        await sign_in(http, site.access_key, site.secret_key)
        base = f"/w/{stack.workspace}"
        page = await http.get(f"{base}/rules/new", params={"connection": connection.id})
        assert f'<option value="{NEWS}">News</option>' in page.text
        form = {
            "csrf": token_in(page),
            "connection": connection.id,
            "of": connection.id,
            "event": "order.paid",
            "action": "add_to_list",
            "i.id": NEWS,
            "active": "on",
            "mapping_version": "1",
            "m.0.dest": "email",
            "m.0.value": "email",
        }
        saved = await http.post(f"{base}/rules", data=form)
        assert "The rule is saved" in saved.text


async def emit_of(stack: Stack, event: str, name: str) -> EventHandle:
    return await stack.emit(event, {"email": f"{name}@example.com"})


@pytest.mark.slow
async def test_a_worker_killed_at_any_call_leaves_one_contact_and_at_least_one_event(
    temporal: Client, database: str
) -> None:
    """Killed before and after a contact was stored, between the calls, and after an event."""
    async with open_stack(temporal, database, working=False) as stack:
        connection = await connect(stack)
        await stack.rule(connection, action="add_to_list", id=NEWS)
        await stack.rule(connection, "order.paid", action="track_event", id=NEWS)
        mailchimp = mailchimp_of(stack)
        stored = Fault(kind="stall", store="first")
        mailchimp.fail("member", fault=Fault(kind="stall"), nth=[1])
        mailchimp.fail("member", fault=stored, nth=[2])
        mailchimp.fail("event", fault=Fault(kind="stall"), nth=[1])
        mailchimp.fail("event", fault=stored, nth=[2])
        stages = [
            ("lost", "user.signup", 1),
            ("stored", "user.signup", 2),
            ("between", "order.paid", 4),
            ("recorded", "order.paid", 6),
        ]
        handles = []
        async with worker_process(stack) as worker:
            for name, event, made in stages:
                handles.append(await emit_of(stack, event, name))
                await mailchimp.until(lambda made=made: len(calls(stack)) == made, timeout=30)
            await worker.kill()
        async with worker_process(stack):
            for handle in handles:
                await handle.result()
        assert statuses(stack) == {
            "lost@example.com": "subscribed",
            "stored@example.com": "subscribed",
            "between@example.com": "transactional",
            "recorded@example.com": "transactional",
        }
        # Mailchimp recognizes no repetition: an event whose answer was lost is there twice.
        recorded = sorted(one.email for one in mailchimp.service.occurrences)
        assert recorded == ["between@example.com", *["recorded@example.com"] * 2]
        made = calls(stack)
        assert (made.count("member"), made.count("event")) == (6, 4)
