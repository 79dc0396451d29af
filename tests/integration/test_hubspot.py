"""An event on its way to HubSpot: a contact first, then a membership or an event, each once."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from temporalio.client import Client

from catalog.connections import Connection
from delivery.result import Status
from destinations.hubspot.simulator import NEWS, SCOPES, SIGNED_UP, TOKEN, HubSpotSimulator
from destinations.simulator import Fault
from emitonce import EventHandle
from operations.event_redelivery import redeliver
from operations.steering import resume_connection
from tests.api.caller import assert_error, open_api
from tests.console.site import open_site, sign_in, token_in
from tests.guarantees.worker_process import worker_process
from tests.integration.stack import SAMPLE, Stack, is_held, open_stack

EMAIL = "test@example.com"
EXPIRED = '{"status":"error","category":"EXPIRED_AUTHENTICATION"}'
BY_ADDRESS = {"firstname": "Test", "lastname": "User"}


def hubspot_of(stack: Stack) -> HubSpotSimulator:
    simulator: HubSpotSimulator = stack.simulators["hubspot"]
    return simulator


def calls(stack: Stack) -> list[str]:
    return [request.call for request in hubspot_of(stack).requests]


async def connect(stack: Stack, token: str = TOKEN) -> Connection:
    return await stack.connect("hubspot", access_token=token)


async def emit(stack: Stack, **payload: Any) -> EventHandle:
    return await stack.emit(payload={**SAMPLE, **BY_ADDRESS, **payload})


async def test_a_contact_is_put_on_a_list_and_its_log_shows_both_calls(stack: Stack) -> None:
    await stack.rule(await connect(stack), action="add_to_list", id=NEWS)
    log = await stack.ended(await emit(stack))
    [contact] = hubspot_of(stack).service.contacts.values()
    assert contact.properties == {"email": EMAIL, **BY_ADDRESS}
    assert hubspot_of(stack).service.lists[NEWS].members == {contact.id}
    assert calls(stack) == ["upsert", "contact", "add"]
    [delivery] = log.deliveries
    assert delivery.status is Status.COMPLETED
    assert delivery.identify is not None
    assert delivery.track is not None
    assert delivery.track.request == {"email": EMAIL, "list": NEWS, "change": "add"}
    assert BY_ADDRESS["lastname"] not in str(delivery.identify.attempts[-1].response_excerpt)


async def test_a_property_is_set_by_identify_alone(stack: Stack) -> None:
    connection = await connect(stack)
    await stack.rule(connection, action="update_property", id="lifecyclestage", value="customer")
    log = await stack.ended(await emit(stack))
    [contact] = hubspot_of(stack).service.contacts.values()
    assert contact.properties["lifecyclestage"] == "customer"
    [delivery] = log.deliveries
    assert (delivery.status, delivery.track) == (Status.COMPLETED, None)
    assert calls(stack) == ["upsert"]


async def test_a_contact_that_is_not_stored_behind_a_207_gets_no_event(stack: Stack) -> None:
    hubspot_of(stack).service.properties.pop("lastname")
    await stack.rule(await connect(stack), action="track_event", id=SIGNED_UP)
    handle = await emit(stack)
    log = await stack.ended(handle)
    [delivery] = log.deliveries
    assert "207: the contact was not stored" in str(delivery.last_error)
    assert calls(stack) == ["upsert"]
    hubspot_of(stack).reset()
    await redeliver(stack.client, log.event_id)
    assert (await stack.ended(handle)).status is Status.COMPLETED
    assert len(hubspot_of(stack).service.occurrences) == 1


async def test_an_event_whose_answer_was_lost_or_that_is_redelivered_is_recorded_once(
    stack: Stack,
) -> None:
    await stack.rule(await connect(stack), action="track_event", id=SIGNED_UP)
    hubspot = hubspot_of(stack)
    hubspot.fail("send", fault=Fault(kind="reset_after_store"), nth=[1])
    hubspot.fail("send", fault=Fault(status=400, store="first"), nth=[2])
    handle = await emit(stack)
    log = await stack.ended(handle)
    assert log.status is Status.FAILED
    await redeliver(stack.client, log.event_id)
    assert (await stack.ended(handle)).status is Status.COMPLETED
    assert calls(stack) == ["upsert", "send", "send", "upsert", "send"]
    assert len(hubspot.service.occurrences) == 1


async def test_a_token_expired_half_way_holds_track_until_there_is_a_new_one(stack: Stack) -> None:
    connection = await connect(stack)
    await stack.rule(connection, action="track_event", id=SIGNED_UP)
    hubspot = hubspot_of(stack)
    hubspot.fail("send", fault=Fault(status=401, body=EXPIRED), times=1)
    handle = await emit(stack)
    await stack.log_when(handle, is_held)
    stored = await stack.catalog.connections.get(stack.organization, connection.id)
    assert (stored.status, stored.inactive_reason) == ("inactive", "oauth_reauthorization_required")
    assert calls(stack) == ["upsert", "send"]
    hubspot.service.tokens = {"pat-new": SCOPES}
    await stack.catalog.connections.update(
        stack.organization, connection.id, fields={"access_token": "pat-new"}
    )
    await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
    assert (await stack.ended(handle)).status is Status.COMPLETED
    assert calls(stack) == ["upsert", "send", "send"]
    assert hubspot.requests[-1].key == "pat-new"


async def test_a_limit_that_is_reached_is_waited_for_and_named_in_the_log(stack: Stack) -> None:
    await stack.rule(await connect(stack), action="track_event", id=SIGNED_UP)
    body = '{"status":"error","category":"RATE_LIMITS","policyName":"SECONDLY"}'
    hubspot_of(stack).fail("upsert", fault=Fault(status=429, body=body), times=1)
    log = await stack.ended(await emit(stack))
    [delivery] = log.deliveries
    assert delivery.identify is not None
    limited, delivered = delivery.identify.attempts
    assert limited.message == "429: too many requests, by HubSpot's limit SECONDLY"
    assert delivered.outcome_code == "delivered"
    first, second, _ = hubspot_of(stack).requests
    assert second.received - first.received >= 1


async def test_lists_properties_and_events_are_offered_and_an_undefined_event_is_refused(
    stack: Stack,
) -> None:
    connection = await connect(stack)
    async with open_api(stack) as api:
        live = (await api.get(f"/connections/{connection.id}/actions")).json()
        assert live["add_to_list"] == {"lists": [{"id": NEWS, "name": "News"}]}
        assert live["track_event"] == {"events": [{"id": SIGNED_UP, "name": "signed up"}]}
        assert {"id": "plan", "name": "Plan"} in live["update_property"]["properties"]
        fields = (await api.get(f"/connections/{connection.id}/fields")).json()["fields"]
        keys = [one["key"] for one in fields]
        assert keys[:2] == ["email", "firstname"]
        assert len(set(keys)) == len(keys)
        assert "plan" in keys
        body = {"workspace": stack.workspace, "connection": connection.id, "event": "user.signup"}
        named = {"action": "track_event", "id": "pe1234567_riddle"}
        refused = await api.post("/rules", body | {"metadata": named})
        assert_error(refused, 400, "metadata.id")
        assert "not among the account's events" in refused.text
        good = named | {"id": SIGNED_UP}
        made = (await api.post("/rules", body | {"metadata": good})).json()["rule"]
        changed = await api.call("PATCH", f"/rules/{made['id']}", {"metadata": named})
        assert_error(changed, 400, "metadata.id")
        # Without the scope to list them it isn't known, and the rule is saved.
        hubspot_of(stack).service.tokens = {TOKEN: "crm.objects.contacts.write"}
        saved = await api.call("PATCH", f"/rules/{made['id']}", {"metadata": named})
        assert saved.status_code == 200
        fields = (await api.get(f"/connections/{connection.id}/fields")).json()["fields"]
        assert [one["key"] for one in fields] == keys[:5]
        assert TOKEN not in (await api.get(f"/connections/{connection.id}")).text
        [shown] = [
            one
            for one in (await api.get("/integrations")).json()["records"]
            if one["type"] == "hubspot"
        ]
        assert list(shown["actions"]) == [
            "add_to_list",
            "remove_from_list",
            "update_property",
            "track_event",
        ]
        [list_input] = shown["actions"]["add_to_list"]["data"]
        assert (list_input["kind"], list_input["field"], list_input["from"]) == (
            "simple",
            "id",
            "lists",
        )
        preview = await api.post(f"/rules/{made['id']}/preview", {"payload": SAMPLE})
        assert preview.json()["identify"]["inputs"][0]["id"] == EMAIL
        assert preview.json()["track"]["email"] == EMAIL


async def test_the_console_offers_what_the_account_has_and_refuses_an_undefined_event(
    stack: Stack,
) -> None:
    connection = await connect(stack)
    async with (
        open_site(stack) as site,
        httpx.AsyncClient(base_url=site.url, follow_redirects=True) as http,
    ):
        await sign_in(http, site.access_key, site.secret_key)
        base = f"/w/{stack.workspace}"
        page = await http.get(f"{base}/rules/new", params={"connection": connection.id})
        assert f'<option value="{NEWS}">News</option>' in page.text
        assert '<option value="plan">Plan</option>' in page.text
        form = {
            "csrf": token_in(page),
            "connection": connection.id,
            "of": connection.id,
            "event": "user.signup",
            "action": "track_event",
            "i.id": "pe1234567_riddle",
            "active": "on",
            "mapping_version": "1",
            "m.0.dest": "email",
            "m.0.value": "email",
        }
        told = await http.post(f"{base}/rules", data=form)
        assert told.status_code == 400
        assert "It is not among the account&#39;s events" in told.text
        saved = await http.post(f"{base}/rules", data=form | {"i.id": SIGNED_UP})
        assert "The rule is saved" in saved.text


@pytest.mark.slow
async def test_a_worker_killed_at_any_call_leaves_each_effect_there_once(
    temporal: Client, database: str
) -> None:
    """Killed after an upsert, between it and the change, after the change, and after an event."""
    async with open_stack(temporal, database, working=False) as stack:
        connection = await connect(stack)
        await stack.rule(connection, action="add_to_list", id=NEWS)
        await stack.rule(connection, "order.paid", action="track_event", id=SIGNED_UP)
        hubspot = hubspot_of(stack)
        stored = Fault(kind="stall", store="first")
        hubspot.fail("upsert", fault=stored, nth=[1])
        hubspot.fail("contact", fault=Fault(kind="stall"), nth=[1])
        hubspot.fail("add", fault=stored, nth=[1])
        hubspot.fail("send", fault=stored, nth=[1])
        stages = [
            ("upsert", "user.signup"),
            ("contact", "user.signup"),
            ("add", "user.signup"),
            ("send", "order.paid"),
        ]
        handles = []
        async with worker_process(stack) as worker:
            for call, event in stages:
                payload = {"email": f"{call}@example.com"}
                handles.append(await stack.emit(event, payload))
                await hubspot.until(lambda call=call: call in calls(stack), timeout=30)
            await worker.kill()
        async with worker_process(stack):
            for handle in handles:
                await handle.result()
        service = hubspot.service
        emails = sorted(one.properties["email"] for one in service.contacts.values())
        assert emails == sorted(f"{call}@example.com" for call, _ in stages)
        members = {service.contacts[id].properties["email"] for id in service.lists[NEWS].members}
        assert members == {f"{call}@example.com" for call in ("upsert", "contact", "add")}
        [recorded] = service.occurrences
        assert recorded.email == "send@example.com"
        made = calls(stack)
        assert (made.count("upsert"), made.count("add"), made.count("send")) == (5, 4, 2)
