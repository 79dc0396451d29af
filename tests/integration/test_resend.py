"""An event on its way to Resend: contact before membership, a mail once, and held while its key is
refused.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial

import httpx
import pytest
from temporalio.client import Client

from catalog.connections import Connection
from delivery.result import Status
from destinations.resend.simulator import FULL, KEY, SEGMENT, TEMPLATE, ResendSimulator
from destinations.simulator import Fault
from operations.event_redelivery import redeliver
from operations.steering import resume_connection
from tests.api.caller import assert_error, open_api
from tests.console.site import open_site, sign_in
from tests.guarantees.worker_process import worker_process
from tests.integration.stack import SAMPLE, Stack, is_held, open_stack, waits

EMAIL = SAMPLE["email"]
SEGMENT_CALLS = ["contacts.get", "contacts.create", "segments.add"]


def resend_of(stack: Stack) -> ResendSimulator:
    simulator: ResendSimulator = stack.simulators["resend"]
    return simulator


def calls(stack: Stack) -> list[str]:
    return [request.call for request in resend_of(stack).requests]


async def connect(stack: Stack, key: str = KEY) -> Connection:
    return await stack.connect("resend", api_key=key)


async def test_a_contact_is_created_then_added_and_the_log_shows_both(stack: Stack) -> None:
    await stack.rule(await connect(stack), action="add_to_segment", id=SEGMENT)
    log = await stack.ended(await stack.emit())
    assert calls(stack) == SEGMENT_CALLS
    [contact] = resend_of(stack).service.contacts
    assert (contact.email, contact.segments) == (EMAIL, {SEGMENT})
    [delivery] = log.deliveries
    assert delivery.status is Status.COMPLETED
    assert delivery.identify is not None
    assert delivery.identify.request == {"email": EMAIL}
    assert delivery.track is not None
    assert delivery.track.request == {"email": EMAIL, "segment_id": SEGMENT}


async def test_without_a_contact_nothing_is_added_to_a_segment(stack: Stack) -> None:
    resend_of(stack).fail("contacts.create", fault=Fault(status=422))
    await stack.rule(await connect(stack), action="add_to_segment", id=SEGMENT)
    log = await stack.ended(await stack.emit())
    assert log.status is Status.FAILED
    assert calls(stack) == SEGMENT_CALLS[:2]


@pytest.mark.slow
@pytest.mark.parametrize("call", ["contacts.create", "segments.add"])
async def test_an_answer_that_was_lost_leaves_one_contact_in_the_segment(
    stack: Stack, call: str
) -> None:
    resend_of(stack).fail(call, fault=Fault(kind="reset_after_store"), times=1)
    await stack.rule(await connect(stack), action="add_to_segment", id=SEGMENT)
    log = await stack.ended(await stack.emit())
    assert log.status is Status.COMPLETED
    [contact] = resend_of(stack).service.contacts
    assert contact.segments == {SEGMENT}


async def test_identify_only_makes_the_contact_and_sends_no_mail(stack: Stack) -> None:
    connection = await connect(stack)
    await stack.rule(connection, action="add_to_segment", id=SEGMENT)
    await stack.rule(connection, action="send_email_template", id=TEMPLATE)
    run = await stack.client.start_workflow(
        "DeliverEvent",
        {
            "workspace": stack.workspace,
            "event": "user.signup",
            "payload": SAMPLE,
            "identify_only": True,
        },
        id=str(uuid.uuid4()),
        task_queue=stack.task_queue,
    )
    await run.result()
    assert calls(stack) == SEGMENT_CALLS[:2]


@pytest.mark.slow
async def test_a_mail_whose_answers_were_lost_is_sent_once_even_if_redelivered(
    stack: Stack,
) -> None:
    lost, wrong = Fault(kind="reset_after_store"), Fault(status=400, store="first")
    resend_of(stack).fail("emails.send", fault=lost, times=1)
    resend_of(stack).fail("emails.send", fault=wrong, times=2)
    await stack.rule(await connect(stack), action="send_email_template", id=TEMPLATE)
    handle = await stack.emit()
    log = await stack.ended(handle)
    assert log.status is Status.FAILED
    assert calls(stack) == ["emails.send"] * 2
    await redeliver(stack.client, log.event_id)
    assert (await stack.ended(handle)).status is Status.COMPLETED
    assert calls(stack) == ["emails.send"] * 3
    [mail] = resend_of(stack).service.mails
    assert mail["to"] == [EMAIL]


async def test_a_mail_is_given_up_before_resend_forgets_its_key(stack: Stack) -> None:
    """23 hours after acceptance, where other deliveries have 72."""
    mail = await stack.rule(await connect(stack), action="send_email_template", id=TEMPLATE)
    added = await stack.rule(await connect(stack), action="add_to_segment", id=SEGMENT)
    resend_of(stack).fail(fault=Fault(status=503, headers={"Retry-After": "600"}))
    handle = await stack.emit()
    await stack.log_when(handle, lambda log: waits(log) and len(calls(stack)) == 2)
    history = await stack.client.get_workflow_handle(handle.id).fetch_history()
    given = {
        str(one.activity_id): one.schedule_to_close_timeout.ToTimedelta()
        for event in history.events
        if (one := event.activity_task_scheduled_event_attributes).activity_id
    }
    within = timedelta(minutes=1)
    assert abs(given[f"{mail.id}/send"] - timedelta(hours=23)) < within
    assert abs(given[f"{added.id}/identify"] - timedelta(hours=72)) < within


async def test_a_mail_over_the_quota_waits_an_hour(stack: Stack) -> None:
    resend_of(stack).service.quota = "daily_quota_exceeded"
    await stack.rule(await connect(stack), action="send_email_template", id=TEMPLATE)
    log = await stack.log_when(await stack.emit(), waits)
    [delivery] = log.deliveries
    assert delivery.send is not None
    [attempt] = delivery.send.attempts
    assert attempt.outcome_code == "rate_limited"
    assert attempt.next_attempt_at is not None
    assert attempt.next_attempt_at - attempt.started_at >= timedelta(hours=1)
    assert calls(stack) == ["emails.send"]


@pytest.mark.slow
async def test_a_key_deleted_half_way_holds_what_follows_until_there_is_a_new_one(
    stack: Stack,
) -> None:
    connection = await connect(stack)
    await stack.rule(connection, action="track_event")
    assert (await stack.ended(await stack.emit())).status is Status.COMPLETED
    resend_of(stack).service.keys = {KEY: "validation_error", "re_new": FULL}
    handle = await stack.emit()
    await stack.log_when(handle, is_held)
    stored = await stack.catalog.connections.get(stack.organization, connection.id)
    assert (stored.status, stored.inactive_reason) == ("inactive", "authentication_invalid")
    await stack.catalog.connections.update(
        stack.organization, connection.id, fields={"api_key": "re_new"}
    )
    await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
    assert (await stack.ended(handle)).status is Status.COMPLETED
    assert len(resend_of(stack).service.events) == 2
    assert resend_of(stack).requests[-1].key == "re_new"


async def test_segments_and_templates_are_offered_by_api_and_console(stack: Stack) -> None:
    connection = await connect(stack)
    segments = {"segments": [{"id": SEGMENT, "name": "Customers"}]}
    async with open_api(stack) as api:
        assert (await api.get(f"/connections/{connection.id}/actions")).json() == {
            "add_to_segment": segments,
            "remove_from_segment": segments,
            "send_email_template": {"templates": [{"id": TEMPLATE, "name": "welcome"}]},
            "track_event": {},
        }
        fields = (await api.get(f"/connections/{connection.id}/fields")).json()["fields"]
        assert "plan" in [one["key"] for one in fields]
        listed = (await api.get("/integrations")).json()["records"]
        [shown] = [one for one in listed if one["type"] == "resend"]
        assert shown["authentication"]["type"] == "api_key"
        [field] = shown["authentication"]["fields"]
        assert (field["key"], field["label"], field["type"]) == ("api_key", "API Token", "password")
        template, subject, sender = shown["actions"]["send_email_template"]["data"]
        assert (template["kind"], template["field"]) == ("simple", "id")
        assert [subject["field"], sender["field"]] == ["subject", "from"]
        body = {"workspace": stack.workspace, "connection": connection.id, "event": "user.signup"}
        metadata = {"action": "send_email_template", "id": TEMPLATE, "from": "nobody"}
        refused = await api.post("/rules", body | {"metadata": metadata})
        assert_error(refused, 400, "metadata.from")
        metadata["from"] = "Team <team@example.com>"
        made = (await api.post("/rules", body | {"metadata": metadata})).json()["rule"]
        preview = await api.post(f"/rules/{made['id']}/preview", {"payload": SAMPLE})
        assert preview.json()["send"]["from"] == "Team <team@example.com>"
        assert KEY not in (await api.get(f"/connections/{connection.id}")).text
    async with (
        open_site(stack) as site,
        httpx.AsyncClient(base_url=site.url, follow_redirects=True) as http,
    ):
        await sign_in(http, site.access_key, site.secret_key)
        form = f"/w/{stack.workspace}/rules/new?connection={connection.id}"
        page = (await http.get(form)).text
        assert f'<option value="{SEGMENT}">Customers</option>' in page


@pytest.mark.slow
async def test_a_worker_killed_around_any_call_leaves_a_mail_once_and_an_event_at_least_once(
    temporal: Client, database: str
) -> None:
    """Killed between a contact's read and write, between the calls, and after each effect."""
    async with open_stack(temporal, database, working=False) as stack:
        connection = await connect(stack)
        await stack.catalog.connections.update(
            stack.organization, connection.id, requests_per_second=100
        )
        for event, action, metadata in (
            ("mail", "send_email_template", {"id": TEMPLATE}),
            ("segment", "add_to_segment", {"id": SEGMENT}),
            ("event", "track_event", {"event_name_override": "signed_up"}),
        ):
            await stack.rule(connection, event, action=action, **metadata)
        resend = resend_of(stack)
        lost, stored = Fault(kind="stall"), Fault(kind="stall", store="first")
        resend.fail("emails.send", fault=lost, nth=[1])
        resend.fail("emails.send", fault=stored, nth=[2])
        resend.fail("contacts.create", fault=lost, nth=[1])
        resend.fail("contacts.create", fault=stored, nth=[2])
        resend.fail("segments.add", fault=stored, nth=[1])
        resend.fail("events.send", fault=stored, nth=[1])
        stages = {
            "mail-lost": ("mail", "emails.send"),
            "mail-stored": ("mail", "emails.send"),
            "contact-lost": ("segment", "contacts.create"),
            "contact-stored": ("segment", "contacts.create"),
            "in-segment": ("segment", "segments.add"),
            "with-event": ("event", "events.send"),
        }

        def reached(call: str, name: str) -> bool:
            return any(
                request.call == call and name in f"{request.path} {request.body}"
                for request in resend.requests
            )

        handles = []
        async with worker_process(stack) as worker:
            for name, (event, call) in stages.items():
                handles.append(await stack.emit(event, {"email": f"{name}@example.com"}))
                await resend.until(partial(reached, call, name), timeout=30)
            await worker.kill()
        assert len(resend.service.mails) == 1
        async with worker_process(stack):
            for handle in handles:
                await handle.result()
        mails = sorted(str(mail["to"]) for mail in resend.service.mails)
        assert mails == ["['mail-lost@example.com']", "['mail-stored@example.com']"]
        assert calls(stack).count("emails.send") == 4
        in_segment = sorted(one.email for one in resend.service.contacts if one.segments)
        assert in_segment == [
            f"{name}@example.com" for name in ("contact-lost", "contact-stored", "in-segment")
        ]
        assert len(resend.service.contacts) == 4
        # Resend recognizes no repeated event: the one whose answer was lost is there twice.
        assert [one["email"] for one in resend.service.events] == ["with-event@example.com"] * 2
