"""What can become of an event at each vendor, and at a webhook's receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from destinations.http.exchange import Http
from destinations.hubspot.simulator import NEWS, SIGNED_UP, HubSpotSimulator
from destinations.hubspot.simulator import TOKEN as HUBSPOT_TOKEN
from destinations.intercom.simulator import TOKEN as INTERCOM_TOKEN
from destinations.intercom.simulator import VIP, IntercomSimulator
from destinations.mailchimp.simulator import KEY as MAILCHIMP_KEY
from destinations.mailchimp.simulator import NEWS as MAILCHIMP_NEWS
from destinations.mailchimp.simulator import MailchimpSimulator
from destinations.resend.simulator import KEY, SEGMENT, TEMPLATE
from destinations.simulator import Fault
from destinations.slack.simulator import GENERAL, SCOPES, SlackSimulator
from destinations.slack.simulator import TOKEN as SLACK_TOKEN
from destinations.webhook.client import WebhookClient
from emitonce import Emitter
from operations.steering import resume_connection
from tests.contract.webhook_receiver import Receiver, open_receiver
from tests.integration.stack import (
    SAMPLE,
    SECRET,
    Stack,
    eventually,
    is_held,
)
from tests.replay.recorded import Recorded, Scenario, ended


async def webhook_sent(stack: Stack) -> Recorded:
    """One call, `send`, beside a delivery of two; the receiver refuses the first attempt."""
    async with (
        open_receiver() as receiver,
        Http(private_hosts=[receiver.host]) as http,
        _sending_webhooks(stack, http) as own,
    ):
        await own.rule()
        connection = await own.connect("webhook", url=receiver.url)
        await own.rule(connection, action="send_webhook")
        receiver.fault = Fault(status=503)
        handle = await own.emit()
        await eventually(lambda: _requested(receiver))
        receiver.fault = None
        return {"webhook_sent": await ended(own, handle)}


@asynccontextmanager
async def _sending_webhooks(stack: Stack, http: Http) -> AsyncIterator[Stack]:
    """The stack on a task queue of its own, whose one worker may send to a receiver here."""
    settings = stack.settings.model_copy(update={"task_queue": f"webhooks-{stack.task_queue}"})
    emitter = Emitter(stack.client, instance_secret=SECRET, task_queue=settings.task_queue)
    clients = {**stack.clients, "webhook": WebhookClient(http)}
    own = replace(stack, clients=clients, emitter=emitter, settings=settings)
    async with own.make_worker():
        yield own


async def _requested(receiver: Receiver) -> bool:
    return bool(receiver.requests)


async def slack_posted(stack: Stack) -> Recorded:
    """A message that Slack refuses inside a 200, then posts; held in between by its token."""
    simulator: SlackSimulator = stack.simulators["slack"]
    simulator.service.tokens = {SLACK_TOKEN: "token_revoked", "xoxb-new": SCOPES}
    connection = await stack.connect("slack", access_token=SLACK_TOKEN)
    metadata = {"id": GENERAL, "template": "*{{first_name}}* <!here>: {{email}}, {{plan}}"}
    await stack.rule(connection, action="send_message", **metadata)
    handle = await stack.emit(payload={**SAMPLE, "plan": "<!channel> & more"})
    await stack.log_when(handle, is_held)
    simulator.fail(fault=Fault(status=200, body='{"ok":false,"error":"internal_error"}'), times=1)
    await stack.catalog.connections.update(
        stack.organization, connection.id, fields={"access_token": "xoxb-new"}
    )
    await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
    return {"slack_posted": await ended(stack, handle)}


async def hubspot_updated(stack: Stack) -> Recorded:
    """Every action for one contact; one of them throttled behind a 207, one refused."""
    simulator: HubSpotSimulator = stack.simulators["hubspot"]
    connection = await stack.connect("hubspot", access_token=HUBSPOT_TOKEN)
    for metadata in (
        {"action": "add_to_list", "id": NEWS},
        {"action": "remove_from_list", "id": "404"},
        {"action": "update_property", "id": "lifecyclestage", "value": "customer"},
        {"action": "track_event", "id": SIGNED_UP, "event_properties": "plan"},
    ):
        await stack.rule(connection, **metadata)
    limited = '{"results":[],"numErrors":1,"errors":[{"category":"RATE_LIMITS"}]}'
    simulator.fail("upsert", fault=Fault(status=207, body=limited), times=1)
    handle = await stack.emit(
        payload={**SAMPLE, "email": " test@example.com ", "firstname": "Test"}
    )
    return {"hubspot_updated": await ended(stack, handle)}


async def resend_sent(stack: Stack) -> Recorded:
    """All actions: contact and membership, contact and event, and a mail with less time."""
    connection = await stack.connect("resend", api_key=KEY)
    for action, metadata in (
        ("add_to_segment", {"id": SEGMENT}),
        ("remove_from_segment", {"id": SEGMENT}),
        ("send_email_template", {"id": TEMPLATE}),
        ("track_event", {}),
    ):
        await stack.rule(connection, action=action, **metadata)
    return {"resend_sent": await ended(stack, await stack.emit())}


async def mailchimp_subscribed(stack: Stack) -> Recorded:
    """Every action for one contact; throttled by a bare 403, and once in a compliance state."""
    simulator: MailchimpSimulator = stack.simulators["mailchimp"]
    connection = await stack.connect("mailchimp", api_key=MAILCHIMP_KEY)
    for event, metadata in (
        ("user.signup", {"action": "add_to_list"}),
        ("user.signup", {"action": "track_event", "event_properties": "plan"}),
        ("user.left", {"action": "remove_from_list"}),
    ):
        await stack.rule(connection, event, id=MAILCHIMP_NEWS, **metadata)
    simulator.fail("member", fault=Fault(status=403, body=""), times=1)
    payload = {**SAMPLE, "email": " test@example.com "}
    subscribed = await ended(stack, await stack.emit(payload=payload))
    left = await ended(stack, await stack.emit("user.left", payload))
    simulator.service.audiences[MAILCHIMP_NEWS].leave("test@example.com")
    refused = await ended(stack, await stack.emit(payload=payload))
    return {
        "mailchimp_subscribed": subscribed,
        "mailchimp_unsubscribed": left,
        "mailchimp_refused": refused,
    }


async def intercom_tagged(stack: Stack) -> Recorded:
    """Every action for one new contact: one meets a 409, one is throttled, one finds no tag."""
    simulator: IntercomSimulator = stack.simulators["intercom"]
    simulator.service.lagging = True
    connection = await stack.connect("intercom", access_token=INTERCOM_TOKEN, region="us")
    for metadata in (
        {"action": "add_tag", "id": VIP},
        {"action": "remove_tag", "id": VIP},
        {"action": "add_tag", "id": "404"},
        {"action": "track_event", "event_metadata": "plan"},
    ):
        await stack.rule(connection, **metadata)
    limited = '{"type":"error.list","errors":[{"code":"rate_limit_exceeded"}]}'
    simulator.fail("event", fault=Fault(status=429, body=limited), times=1)
    simulator.fail("search", fault=Fault(delay=0.3))
    handle = await stack.emit(payload={**SAMPLE, "email": " test@example.com "})
    return {"intercom_tagged": await ended(stack, handle)}


AT_VENDORS: tuple[Scenario, ...] = (
    webhook_sent,
    slack_posted,
    hubspot_updated,
    resend_sent,
    mailchimp_subscribed,
    intercom_tagged,
)
