"""What every destination promises, whatever its vendor: the suite that a new one has to pass."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import httpx
import jsonschema_rs
import pytest
import pytest_asyncio

from delivery.credential import Credential
from delivery.event import Event
from delivery.message import Message, encode_value
from delivery.outcome import Then
from delivery.rule import MatchedRule
from destinations.clients import class_of, make_clients
from destinations.customerio.simulator import Simulator
from destinations.destination import Client, Destination, Verdict
from destinations.http.errors import NoReply
from destinations.http.exchange import Answer, Http
from destinations.http.vendor_client import VendorClient
from destinations.hubspot.simulator import SIGNED_UP, HubSpotSimulator
from destinations.intercom.simulator import READS, IntercomSimulator
from destinations.mailchimp.simulator import NEWS, MailchimpSimulator
from destinations.registry import BY_TYPE, build_messages
from destinations.resend.simulator import SEGMENT, Contact, ResendSimulator
from destinations.simulator import VendorSimulator
from destinations.simulator.fault import Fault
from destinations.slack.simulator import GENERAL, SlackSimulator
from tests.contract.webhook_receiver import open_receiver
from tests.every_destination import samples
from tests.integration.stack import eventually
from tests.unit.delivery_samples import event, rule_of

# Of the requests' bodies by call: checked against the vendors' own descriptions by hand.
SCHEMAS = Path(__file__).parent / "schemas"
PERSONAL = ("usr_2048", "test@example.com", "Łódź")
PAYLOAD = dict(zip(("userId", "email", "city"), PERSONAL, strict=True))
TOKEN = "whsec_c2VjcmV0LXRoYXQtbm9ib2R5LW1heS1zZWU="  # pragma: allowlist secret


@dataclass(frozen=True)
class Stand:
    """A destination, a double of its vendor, and a connection to that."""

    destination: Destination
    client: Client
    connection: Credential
    fail: Callable[[Fault], object]
    received: Callable[[], list[bytes]]
    accepting: bytes = b"body"
    """What its vendor accepts a message with; other 2xx may be none at all."""
    body: Callable[[Message], bytes] = Message.encode
    """What of a message is the request's body; the rest is in its address."""

    @property
    def secrets(self) -> list[str]:
        return [secret.get_secret_value() for secret in self.connection.secrets.values()]

    def messages(self) -> tuple[Message, ...]:
        return build_messages(*sample(self.destination)).messages


# What a rule has to say of the action, where it has to say anything.
METADATA = {
    "customer_io": {"track_properties": "payload"},
    "slack": {"id": GENERAL, "template": "{{userId}} of {{city}}: {{email}}"},
    "hubspot": {"action": "track_event", "id": SIGNED_UP},
    "resend": {"id": SEGMENT},
    "mailchimp": {"action": "track_event", "id": NEWS},
    "intercom": {"action": "track_event"},
}


def sample(destination: Destination) -> tuple[Event, MatchedRule]:
    metadata = {"action": destination.actions[0].key, **METADATA.get(destination.type, {})}
    chosen = rule_of(destination.type, **metadata)
    latest = {"build": max(destination.builds)}
    return event(dict(PAYLOAD)), chosen.model_copy(update=latest)


@asynccontextmanager
async def webhook() -> AsyncIterator[Stand]:
    destination = BY_TYPE["webhook"]
    entered = {"auth_scheme": "bearer", "auth_token": TOKEN[::-1], "signing_secret": TOKEN}
    async with open_receiver() as receiver, Http(private_hosts=[receiver.host]) as http:
        yield Stand(
            destination,
            make_clients(http, {}, agent="emitonce")["webhook"],
            destination.enter({"url": receiver.url, **entered}),
            lambda fault: setattr(receiver, "fault", fault),
            lambda: [request.content for request in receiver.requests],
        )


@asynccontextmanager
async def simulated(
    make: Callable[[], VendorSimulator[Any]],
    type: str,
    reads: Collection[str] = (),
    **own: Any,
) -> AsyncIterator[Stand]:
    """What is read before a message is written is answered as always, and is not received.

    `own` is the vendor's of a `Stand`.
    """
    destination = BY_TYPE[type]
    async with make() as sim, Http() as http:
        if isinstance(sim, ResendSimulator):
            sim.service.contacts.append(Contact(PERSONAL[1]))

        def fail(fault: Fault) -> None:
            sim.clear_faults()
            for call in sim.calls:
                if call not in reads:
                    sim.fail(call, fault=fault)

        yield Stand(
            destination,
            make_clients(http, {type: sim.base_urls}, agent="emitonce")[type],
            destination.enter(samples("")[type].fields),
            fail,
            lambda: [request.raw for request in sim.requests if request.call not in reads],
            **own,
        )


def member_or_event(message: Message) -> bytes:
    part = "member" if message.call == "identify" else "event"
    return encode_value(message.body[part]).encode()


STANDS = {
    "customer_io": partial(simulated, Simulator),
    "webhook": lambda _: webhook(),
    "slack": partial(simulated, SlackSimulator, accepting=b'{"ok":true}'),
    "hubspot": partial(simulated, HubSpotSimulator, accepting=b'{"results":[{"id":"1"}]}'),
    "resend": partial(simulated, ResendSimulator, accepting=b"{}", reads=("contacts.get",)),
    "mailchimp": partial(
        simulated,
        MailchimpSimulator,
        accepting=b'{"id":"1","status":"subscribed"}',
        body=member_or_event,
    ),
    "intercom": partial(
        simulated,
        IntercomSimulator,
        accepting=b'{"type":"contact","id":"1","data":[]}',
        reads=READS,
    ),
}


@pytest_asyncio.fixture(params=list(BY_TYPE))
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    async with STANDS[request.param](request.param) as opened:
        yield opened


@pytest.mark.parametrize("destination", BY_TYPE.values(), ids=lambda one: one.type)
def test_the_same_event_gives_the_same_bytes(destination: Destination) -> None:
    first, second = (
        [message.encode() for message in build_messages(*sample(destination)).messages]
        for _ in range(2)
    )
    assert first == second
    calls = [message.call for message in build_messages(*sample(destination)).messages]
    [action] = [
        one for one in destination.actions if one.key == sample(destination)[1].metadata.action
    ]
    assert tuple(calls) == action.calls


@pytest.mark.parametrize("schema", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_each_message_is_as_its_schema_describes_it(schema: Path) -> None:
    by_call = json.loads(schema.read_text())
    messages = build_messages(*sample(BY_TYPE[schema.stem])).messages
    assert {message.call for message in messages} <= by_call.keys()
    for message in messages:
        jsonschema_rs.validate(by_call[message.call], message.body)


async def test_every_answer_is_judged(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    message = stand.messages()[0]
    for status in range(100, 600):
        answer = Answer(status, httpx.Headers({"Retry-After": "17"}), stand.accepting, cut=False)
        monkeypatch.setattr(Http, "ask", AsyncMock(return_value=answer))
        outcome = await stand.client.send(message, stand.connection)
        assert outcome.message
        assert (outcome.status_code, outcome.retry_after) == (status, "17")
        assert (outcome.then is Then.DONE) == (200 <= status < 300), status
        if status in (408, 429) or status >= 500:
            assert outcome.then is Then.RETRY, status


@pytest.mark.parametrize("destination", BY_TYPE.values(), ids=lambda one: one.type)
def test_what_a_form_asks_for_can_be_told_apart(destination: Destination) -> None:
    keys = [field.key for field in destination.fields]
    assert len(set(keys)) == len(keys)
    for field in destination.fields:
        assert field.label
        if field.default is not None:
            assert field.check(field.default) == field.default
        if field.only_with is not None:
            [other] = [one for one in destination.fields if one.key == field.only_with[0]]
            assert {option.value for option in other.options} >= set(field.only_with[1])


@pytest.mark.parametrize(
    "fault",
    [
        Fault(),
        Fault(status=400),
        Fault(status=401),
        Fault(status=410),
        Fault(status=429),
        Fault(status=503),
        Fault(status=307, headers={"Location": "/v1/identify"}),
        Fault(status=301, headers={"Location": "http://169.254.169.254/"}),
        Fault(kind="reset_before_headers"),
        Fault(kind="raw"),
        Fault(body_bytes=1_000_000),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}-{fault.body_bytes}",
)
async def test_one_send_makes_one_request_whatever_is_answered(stand: Stand, fault: Fault) -> None:
    stand.fail(fault)
    for count, message in enumerate(stand.messages(), 1):
        try:
            outcome = await stand.client.send(message, stand.connection)
        except NoReply:
            assert fault.kind != "answer"
        else:
            assert outcome.status_code in ((fault.status,) if fault.status else (200, 202, 204))
            assert len(outcome.response_excerpt or "") <= 2_000
        assert len(stand.received()) == count


async def test_what_is_sent_is_what_was_built_again_and_again(stand: Stand) -> None:
    for message in stand.messages():
        for _ in range(2):
            await stand.client.send(message, stand.connection)
        assert stand.received()[-2:] == [stand.body(message)] * 2


async def test_an_answer_that_quotes_everything_is_kept_without_it(stand: Stand) -> None:
    for fault in (Fault(status=400, echo=True), Fault(status=500, body=" ".join(stand.secrets))):
        stand.fail(fault)
        for message in stand.messages():
            outcome = await stand.client.send(message, stand.connection)
            for value in (*PERSONAL, *stand.secrets):
                assert value not in f"{outcome}"


async def test_a_failure_tells_nothing_personal_however_it_is_printed(stand: Stand) -> None:
    stand.fail(Fault(kind="reset_before_headers"))
    for message in stand.messages():
        with pytest.raises(NoReply) as failure:
            await stand.client.send(message, stand.connection)
        told = "".join(traceback.format_exception(failure.value))
        for value in (*PERSONAL, *stand.secrets):
            assert value not in told


async def test_no_secret_is_in_what_prints_itself(stand: Stand) -> None:
    for secret in stand.secrets:
        assert secret not in repr((stand.client, stand.connection, stand.destination))


VENDORS = [one for one in BY_TYPE.values() if issubclass(class_of(one), VendorClient)]


@pytest.mark.parametrize("destination", VENDORS, ids=lambda one: one.type)
async def test_a_base_url_that_can_not_be_one_is_refused(destination: Destination) -> None:
    regions = [
        one for field in destination.fields if field.key == "region" for one in field.options
    ]
    region = regions[0].value if regions else ""
    async with Http() as http:
        for urls in ({"mars": "https://x.test"}, {region: "ftp://x"}, {region: "https://a@b"}):
            with pytest.raises(ValueError, match="base URL"):
                make_clients(http, {destination.type: urls}, agent="emitonce")


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(kind="reset_before_headers")])
async def test_a_secret_that_can_not_be_checked_is_not_called_wrong(
    stand: Stand, fault: Fault
) -> None:
    stand.fail(fault)
    assert (await stand.client.verify(stand.connection)).verdict is Verdict.UNKNOWN


async def arrived(stand: Stand) -> bool:
    return bool(stand.received())


async def test_a_canceled_send_leaves_no_request_behind(stand: Stand) -> None:
    stand.fail(Fault(kind="stall"))
    sending = asyncio.create_task(stand.client.send(stand.messages()[0], stand.connection))
    await eventually(lambda: arrived(stand))
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert len(stand.received()) == 1


async def test_a_connection_is_verified_by_at_most_one_request_that_writes_nothing_twice(
    stand: Stand,
) -> None:
    verified = await stand.client.verify(stand.connection)
    assert verified.verdict == "ok"
    assert len(stand.received()) == 1
