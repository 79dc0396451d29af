"""An event on its way to Slack: posted as previewed, at least once, and held while its token is
refused.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from catalog.connections import Connection
from catalog.rules import Rule
from delivery.result import Status
from destinations.customerio.simulator import EU_KEY
from destinations.simulator import Fault
from destinations.slack.simulator import GENERAL, SCOPES, TOKEN, Channel, SlackSimulator
from eventlog.log import EventLog
from operations.event_redelivery import redeliver
from operations.steering import cancel_event, resume_connection
from tests.api.caller import assert_error, open_api
from tests.console.site import open_site, sign_in
from tests.guarantees.worker_process import worker_process
from tests.integration.stack import SAMPLE, Stack, is_held, open_stack

TEMPLATE = "*{{first_name}}* signed up: {{email}}"
TEXT = "*Test* signed up: test@example.com"


def slack_of(stack: Stack) -> SlackSimulator:
    simulator: SlackSimulator = stack.simulators["slack"]
    return simulator


def texts(stack: Stack) -> list[str]:
    return [message.text for message in slack_of(stack).service.messages]


async def connect(stack: Stack, token: str = TOKEN) -> Connection:
    return await stack.connect("slack", access_token=token)


async def slack_rule(
    stack: Stack, connection: Connection, channel: str = GENERAL, **metadata: Any
) -> Rule:
    chosen = {"action": "send_message", "id": channel, "template": TEMPLATE, **metadata}
    return await stack.rule(connection, **chosen)


def failure(log: EventLog) -> str:
    [delivery] = log.deliveries
    assert delivery.status is Status.FAILED
    return str(delivery.last_error)


async def test_an_event_is_posted_and_its_log_shows_the_message_and_the_receipt(
    stack: Stack,
) -> None:
    await slack_rule(stack, await connect(stack))
    log = await stack.ended(await stack.emit())
    [posted] = slack_of(stack).service.messages
    assert (posted.channel, posted.text) == (GENERAL, TEXT)
    [delivery] = log.deliveries
    assert delivery.status is Status.COMPLETED
    assert (delivery.identify, delivery.track) == (None, None)
    assert delivery.send is not None
    assert delivery.send.request is not None
    assert delivery.send.request["text"] == TEXT
    assert json.loads(str(delivery.send.attempts[-1].response_excerpt)) == {
        "ok": True,
        "channel": GENERAL,
        "ts": posted.ts,
    }


async def test_a_message_whose_answer_was_lost_is_posted_twice(stack: Stack) -> None:
    await slack_rule(stack, await connect(stack))
    slack_of(stack).fail("chat.postMessage", fault=Fault(kind="reset_after_store"), times=1)
    log = await stack.ended(await stack.emit())
    assert log.status is Status.COMPLETED
    assert texts(stack) == [TEXT, TEXT]


async def test_an_error_inside_a_200_fails_the_delivery_and_can_be_redelivered(
    stack: Stack,
) -> None:
    slack_of(stack).service.channels["C0000000009"] = Channel("C0000000009", "old", archived=True)
    await slack_rule(stack, await connect(stack), "C0000000009")
    handle = await stack.emit()
    log = await stack.ended(handle)
    assert "Slack says is_archived" in failure(log)
    assert len(slack_of(stack).requests) == 1
    slack_of(stack).service.channels["C0000000009"].archived = False
    await redeliver(stack.client, log.event_id)
    assert (await stack.ended(handle)).status is Status.COMPLETED
    assert texts(stack) == [TEXT]


async def test_a_missing_value_fails_before_anything_is_sent(stack: Stack) -> None:
    await slack_rule(stack, await connect(stack), template="{{user.name}}")
    log = await stack.ended(await stack.emit())
    assert "template: {{user.name}} has no value in this event" in failure(log)
    assert not slack_of(stack).requests


@pytest.mark.slow
async def test_a_token_revoked_half_way_holds_what_follows_until_there_is_a_new_one(
    stack: Stack,
) -> None:
    connection = await connect(stack)
    await slack_rule(stack, connection)
    assert (await stack.ended(await stack.emit())).status is Status.COMPLETED
    slack_of(stack).service.tokens = {TOKEN: "token_revoked", "xoxb-new": SCOPES}
    handles = [await stack.emit()]
    await stack.log_when(handles[0], is_held)
    stored = await stack.catalog.connections.get(stack.organization, connection.id)
    assert (stored.status, stored.inactive_reason) == ("inactive", "oauth_authorization_revoked")
    handles.append(await stack.emit())
    await stack.log_when(handles[1], is_held)
    assert len(slack_of(stack).requests) == 2  # nothing is sent while it is inactive
    await stack.catalog.connections.update(
        stack.organization, connection.id, fields={"access_token": "xoxb-new"}
    )
    await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
    for handle in handles:
        assert (await stack.ended(handle)).status is Status.COMPLETED
    assert len(texts(stack)) == 3
    assert slack_of(stack).requests[-1].key == "xoxb-new"


async def test_too_many_messages_are_posted_once_slack_takes_them(stack: Stack) -> None:
    await slack_rule(stack, await connect(stack))
    slack_of(stack).fail(fault=Fault(status=429, headers={"Retry-After": "1"}), times=1)
    handle = await stack.emit()
    log = await stack.ended(handle)
    [delivery] = log.deliveries
    assert delivery.send is not None
    codes = [attempt.outcome_code for attempt in delivery.send.attempts]
    assert codes == ["rate_limited", "delivered"]
    first, second = slack_of(stack).requests
    assert second.received - first.received >= 1
    assert texts(stack) == [TEXT]


async def test_channels_are_offered_by_api_and_console(stack: Stack) -> None:
    connection = await connect(stack)
    async with open_api(stack) as api:
        path = f"/connections/{connection.id}/actions"
        assert (await api.get(path)).json() == {
            "send_message": {"channels": [{"id": GENERAL, "name": "#general"}]}
        }
        [shown] = [
            one
            for one in (await api.get("/integrations")).json()["records"]
            if one["type"] == "slack"
        ]
        channel, template = shown["actions"]["send_message"]["data"]
        assert (channel["kind"], channel["field"], channel["from"]) == ("simple", "id", "channels")
        assert (template["kind"], template["field"]) == ("field", "template")
        assert template["type"] == "textarea"
        slack_of(stack).service.tokens = {TOKEN: "chat:write"}
        refused = await api.get(path)
        assert_error(refused, 409, None)
        assert "Slack says missing_scope" in refused.text
    async with (
        open_site(stack) as site,
        httpx.AsyncClient(base_url=site.url, follow_redirects=True) as http,
    ):
        await sign_in(http, site.access_key, site.secret_key)
        form = f"/w/{stack.workspace}/rules/new?connection={connection.id}"
        page = (await http.get(form)).text
        assert "Can&#39;t be listed now: Slack says missing_scope." in page
        slack_of(stack).service.tokens = {TOKEN: SCOPES}
        page = (await http.get(form)).text
        assert f'<option value="{GENERAL}">#general</option>' in page
        assert 'name="i.template" rows="5"' in page


async def test_a_rule_that_can_t_be_rendered_is_refused_and_a_good_one_previewed(
    stack: Stack,
) -> None:
    connection = await connect(stack)
    async with open_api(stack) as api:
        body = {"workspace": stack.workspace, "connection": connection.id, "event": "user.signup"}
        good = {"action": "send_message", "id": GENERAL, "template": TEMPLATE}
        for key, value in (("template", "{{#if x}}"), ("template", "<{{x}}>"), ("id", "#general")):
            answer = await api.post("/rules", body | {"metadata": {**good, key: value}})
            assert_error(answer, 400, f"metadata.{key}")
        made = (await api.post("/rules", body | {"metadata": good})).json()["rule"]
        preview = await api.post(f"/rules/{made['id']}/preview", {"payload": SAMPLE})
        assert preview.json()["send"]["text"] == TEXT
        secret = await api.get(f"/connections/{connection.id}")
        assert TOKEN not in secret.text


async def test_each_delivery_of_an_event_goes_on_as_if_it_were_the_only_one(stack: Stack) -> None:
    """One vendor is unavailable, one throttles, one refuses the token; the others are delivered."""
    slack = slack_of(stack)
    slack.service.tokens |= {"xoxb-busy": SCOPES, "xoxb-gone": "account_inactive"}
    slack.fail(fault=Fault(status=429, headers={"Retry-After": "600"}), key="xoxb-busy")
    await stack.sim.refuse_connections("eu")
    works = await stack.rule()
    down = await stack.rule(await stack.connection("EU", api_key=EU_KEY, region="eu"))
    posts = await slack_rule(stack, await connect(stack))
    busy = await slack_rule(stack, await connect(stack, "xoxb-busy"))
    gone = await slack_rule(stack, await connect(stack, "xoxb-gone"))
    handle = await stack.emit()

    def settled(log: EventLog) -> bool:
        retried = {one.rule for one in log.deliveries if one.status is Status.RETRYING}
        held = {one.rule for one in log.deliveries if one.held is not None}
        return (
            log.completed_count == 2
            and retried == {down.id, busy.id, gone.id}
            and held == {gone.id}
        )

    log = await stack.log_when(handle, settled)
    status = {one.rule: one.status for one in log.deliveries}
    assert status[works.id] is status[posts.id] is Status.COMPLETED
    assert texts(stack) == [TEXT]
    assert [request.call for request in stack.calls()] == ["identify", "track"]
    await cancel_event(stack.client, handle.id)
    assert (await stack.ended(handle)).completed_count == 2


@pytest.mark.slow
async def test_a_worker_killed_around_a_post_leaves_the_message_at_least_once(
    temporal: Client, database: str
) -> None:
    """Killed before a message was posted, and after another was: that one is there twice."""
    async with open_stack(temporal, database, working=False) as stack:
        await slack_rule(stack, await connect(stack), template="{{email}}")
        slack = slack_of(stack)
        slack.fail("chat.postMessage", fault=Fault(kind="stall"), nth=[1])
        slack.fail("chat.postMessage", fault=Fault(kind="stall", store="first"), nth=[2])
        handles = []
        async with worker_process(stack) as worker:
            for made, email in enumerate(("lost@example.com", "posted@example.com"), 1):
                handles.append(await stack.emit(payload={"email": email}))
                await slack.until(lambda made=made: len(slack.requests) == made, timeout=30)
            await worker.kill()
        assert texts(stack) == ["posted@example.com"]
        async with worker_process(stack):
            logs = [await stack.ended(handle) for handle in handles]
        assert sorted(texts(stack)) == ["lost@example.com", *["posted@example.com"] * 2]
        for log in logs:
            [delivery] = log.deliveries
            assert delivery.send is not None
            assert [one.request_made for one in delivery.send.attempts] == [None, True]
