"""What a tenant's receiver gets, and what it may do to the worker that sends to it: nothing."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import socket
import traceback
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from delivery.credential import Credential
from delivery.message import Message
from delivery.outcome import Outcome, Then
from destinations.destination import Verdict
from destinations.http.errors import AddressRefused, AnswerTimeout, NetworkFailed, NoReply
from destinations.http.exchange import Http
from destinations.simulator.fault import Fault
from destinations.webhook.client import WebhookClient
from destinations.webhook.destination import judge
from tests.contract.webhook_receiver import Receiver, open_receiver

FIRST = "whsec_" + base64.b64encode(b"1" * 32).decode()
SECOND = "whsec_" + base64.b64encode(b"2" * 32).decode()
TIMEOUT = 0.3  # seconds, where a test waits until they are over

MESSAGE = Message(
    call="send",
    body={
        "uuid": "8a7f2f5e-3c1b-4d7e-9a51-0d6f2b8c7e44",
        "event": "Bestellung größer",
        "resource": "global",
        "resource_id": "7 % äh",
        "payload": {"userId": "usr_2048", "email": "test@example.com", "city": "Łódź"},
        "time_created": 1795456800000,
        "workspace": "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44",
        "rule": "rule",
        "message_id": "msg_1",
        "hops": 1,
    },
)


def connection(url: str, secrets: Mapping[str, str] = {}, **settings: str) -> Credential:
    hidden = {key: SecretStr(secret) for key, secret in secrets.items()}
    return Credential({"url": url, **settings}, hidden)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as opened:
        yield opened


@pytest_asyncio.fixture
async def http(receiver: Receiver) -> AsyncIterator[Http]:
    async with Http(private_hosts=[receiver.host]) as opened:
        yield opened


@pytest.fixture
def client(http: Http) -> WebhookClient:
    return WebhookClient(http)


async def test_a_receiver_that_knows_only_standard_webhooks_verifies_what_arrives(
    receiver: Receiver, client: WebhookClient
) -> None:
    await client.send(MESSAGE, connection(receiver.url, {"signing_secret": FIRST}))
    [request] = receiver.requests
    assert Webhook(FIRST).verify(request.content, request.headers) == MESSAGE.body
    assert request.content == MESSAGE.encode()
    with pytest.raises(WebhookVerificationError):
        Webhook(SECOND).verify(request.content, request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(FIRST).verify(request.content + b" ", request.headers)


async def test_while_a_secret_is_replaced_both_verify(
    receiver: Receiver, client: WebhookClient
) -> None:
    both = {"signing_secret": FIRST, "signing_secret_2": SECOND}
    await client.send(MESSAGE, connection(receiver.url, both))
    [request] = receiver.requests
    for secret in (FIRST, SECOND):
        Webhook(secret).verify(request.content, request.headers)


async def test_a_repetition_has_the_same_id_and_bytes_and_a_time_of_its_own(
    receiver: Receiver, client: WebhookClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = connection(receiver.url, {"signing_secret": FIRST})
    await client.send(MESSAGE, to)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(minutes=4)

    monkeypatch.setattr("destinations.webhook.client.datetime", Later)
    await client.send(MESSAGE, to)
    first, second = receiver.requests
    assert first.content == second.content
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "msg_1"
    moments = [int(one.headers["webhook-timestamp"]) for one in (first, second)]
    assert moments[1] - moments[0] >= 239
    assert abs(moments[0] - datetime.now(UTC).timestamp()) < 60
    Webhook(FIRST).verify(second.content, second.headers)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("mode", ["wrapped", "raw"])
async def test_an_hmac_is_over_the_exact_bytes_in_a_header_of_ones_choice(
    receiver: Receiver, client: WebhookClient, mode: str, algorithm: str
) -> None:
    secret = "a secret from before"
    settings = {"hmac_algorithm": algorithm, "hmac_header": "X-Seal", "payload_mode": mode}
    await client.send(MESSAGE, connection(receiver.url, {"hmac_secret": secret}, **settings))
    await client.send(MESSAGE, connection(receiver.url, {"hmac_secret": secret}))
    chosen, default = receiver.requests
    expected = hmac.new(secret.encode(), chosen.content, algorithm).hexdigest()
    assert chosen.headers["x-seal"] == expected
    by_default = hmac.new(secret.encode(), default.content, hashlib.sha256).hexdigest()
    assert default.headers["x-meshes-signature"] == by_default


async def test_raw_sends_the_payload_only_and_describes_it_in_headers(
    receiver: Receiver, client: WebhookClient
) -> None:
    await client.send(MESSAGE, connection(receiver.url, payload_mode="raw"))
    [request] = receiver.requests
    assert request.body == MESSAGE.body["payload"]
    described = {name: value for name, value in request.headers.items() if "meshes" in name}
    assert described == {
        "x-meshes-event-id": "8a7f2f5e-3c1b-4d7e-9a51-0d6f2b8c7e44",
        "x-meshes-event": "Bestellung%20gr%C3%B6%C3%9Fer",
        "x-meshes-resource": "global",
        "x-meshes-resource-id": "7%20%25%20%C3%A4h",
        "x-meshes-time-created": "1795456800000",
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_it_is_sent_by_the_chosen_method_with_its_own_headers(
    receiver: Receiver, client: WebhookClient, method: str
) -> None:
    await client.send(
        MESSAGE,
        connection(
            f"{receiver.url}/a%2Fb?c=d", http_method=method, custom_headers="X-A: 1\nx-b: two words"
        ),
    )
    [request] = receiver.requests
    assert (request.method, request.target) == (method, "/hooks/a%2Fb?c=d")
    assert request.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "x-a": "1",
        "x-b": "two words",
        "content-type": "application/json",
        "user-agent": "emitonce",
        "x-emitonce-hops": "1",
        "webhook-id": "msg_1",
        "webhook-timestamp": request.headers["webhook-timestamp"],
        "accept": "*/*",
        "accept-encoding": "identity",
        "content-length": str(len(MESSAGE.encode())),
    }


BASIC = base64.b64encode(b"usr:pass:word").decode()


@pytest.mark.parametrize(
    ("settings", "secrets", "header"),
    [
        (
            {"auth_scheme": "basic", "auth_username": "usr"},
            {"auth_password": "pass:word"},
            ("authorization", f"Basic {BASIC}"),
        ),
        (
            {"auth_scheme": "bearer"},
            {"auth_token": "tkn-never-to-be-seen"},
            ("authorization", "Bearer tkn-never-to-be-seen"),
        ),
        (
            {"auth_scheme": "header", "auth_header_name": "X-API-Key"},
            {"auth_header_value": "hdr-never-to-be-seen"},
            ("x-api-key", "hdr-never-to-be-seen"),
        ),
    ],
)
async def test_each_authentication_arrives_and_is_in_no_excerpt(
    receiver: Receiver,
    client: WebhookClient,
    settings: dict[str, str],
    secrets: dict[str, str],
    header: tuple[str, str],
) -> None:
    name, value = header
    secrets = {**secrets, "signing_secret": FIRST, "hmac_secret": "hmac-never-to-be-seen"}
    receiver.fault = Fault(status=500, body=f"{value} {' '.join(secrets.values())}")
    outcome = await client.send(MESSAGE, connection(receiver.url, secrets, **settings))
    assert receiver.requests[0].headers[name] == value
    for secret in (BASIC, *secrets.values()):
        assert secret not in outcome.response_excerpt
    assert outcome.response_excerpt.count("[redacted]") >= 3


@pytest.mark.parametrize("mode", ["wrapped", "raw"])
async def test_an_answer_that_quotes_the_event_is_kept_without_it(
    receiver: Receiver, client: WebhookClient, mode: str
) -> None:
    receiver.fault = Fault(status=400, echo=True)
    outcome = await client.send(MESSAGE, connection(receiver.url, payload_mode=mode))
    for personal in ("usr_2048", "test@example.com", "Łódź", "7 % äh"):
        assert personal not in outcome.response_excerpt
    assert '"city"' in outcome.response_excerpt


@pytest.mark.parametrize(
    ("status", "then"),
    [
        (200, Then.DONE),
        (299, Then.DONE),
        (302, Then.STOP),
        (307, Then.STOP),
        (400, Then.STOP),
        (401, Then.HOLD),
        (408, Then.RETRY),
        (410, Then.HOLD),
        (429, Then.RETRY),
        (503, Then.RETRY),
    ],
)
async def test_what_each_answer_means(
    receiver: Receiver, client: WebhookClient, status: int, then: Then
) -> None:
    receiver.fault = Fault(status=status, body="<html>fine</html>")
    outcome = await client.send(MESSAGE, connection(receiver.url))
    assert (outcome.status_code, outcome.response_excerpt) == (status, "<html>fine</html>")
    assert outcome.then is then
    assert len(receiver.requests) == 1


async def test_a_receiver_that_is_gone_makes_its_connection_inactive() -> None:
    outcome = judge(Outcome.of_answer(410))
    assert (outcome.then, outcome.inactive_reason) == (Then.HOLD, "manually_inactivated")
    assert judge(Outcome.of_answer(401)).inactive_reason == "authentication_invalid"


@pytest.mark.parametrize("location", ["http://169.254.169.254/latest/meta-data/", "/elsewhere"])
async def test_a_redirect_is_followed_nowhere(
    receiver: Receiver, client: WebhookClient, location: str
) -> None:
    receiver.fault = Fault(status=307, headers={"Location": location})
    outcome = await client.send(MESSAGE, connection(receiver.url))
    assert outcome.message == "307: a redirect, which is never followed"
    assert len(receiver.requests) == 1


BOMB = gzip.compress(b"\0" * 100_000_000)


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        (Fault(body="<!doctype html><p>Thanks!"), "<!doctype html><p>Thanks!"),
        (Fault(body_bytes=10_000_000), "x" * 1_999 + "…"),
        (
            Fault(
                kind="raw",
                raw_base64=base64.b64encode(
                    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "
                    + str(len(BOMB)).encode()
                    + b"\r\n\r\n"
                    + BOMB
                ).decode(),
            ),
            "[packed answer, not shown]",
        ),
        (
            Fault(kind="slow_drip", drip_from="body", body_bytes=900, drip_seconds=0.01),
            "…",
        ),
    ],
    ids=["html", "10 MB", "100 MB packed", "one byte after the other"],
)
async def test_what_the_receiver_says_beside_its_status_costs_next_to_nothing(
    receiver: Receiver, http: Http, fault: Fault, body: str
) -> None:
    receiver.fault = fault
    outcome = await WebhookClient(http, total_timeout=TIMEOUT).send(
        MESSAGE, connection(receiver.url)
    )
    assert outcome.status_code == 200
    assert outcome.response_excerpt.endswith(body)
    assert len(outcome.response_excerpt) <= 2_000


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(kind="stall"), AnswerTimeout),
        (Fault(kind="slow_drip", drip_seconds=0.05), AnswerTimeout),
        (Fault(kind="reset_before_headers"), NetworkFailed),
        (Fault(kind="raw", raw_base64=base64.b64encode(b"SSH-2.0").decode()), NetworkFailed),
    ],
)
async def test_without_a_status_there_is_no_reply_and_nothing_secret_is_told(
    receiver: Receiver, http: Http, fault: Fault, expected: type[NoReply]
) -> None:
    receiver.fault = fault
    to = connection(
        f"{receiver.url}?key=url-secret", {"auth_token": "tkn-secret"}, auth_scheme="bearer"
    )
    with pytest.raises(expected) as failure:
        await WebhookClient(http, total_timeout=TIMEOUT).send(MESSAGE, to)
    assert len(receiver.requests) == 1
    told = "".join(traceback.format_exception(failure.value))
    for secret in ("url-secret", "tkn-secret", "usr_2048", "example.com"):
        assert secret not in told


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_connection_that_broke_is_one_request_whatever_its_method(
    receiver: Receiver, http: Http, method: str
) -> None:
    receiver.fault = Fault(kind="reset_before_headers")
    with pytest.raises(NetworkFailed):
        await WebhookClient(http).send(MESSAGE, connection(receiver.url, http_method=method))
    assert len(receiver.requests) == 1


async def test_what_is_not_allowed_in_a_private_network_gets_nothing(receiver: Receiver) -> None:
    async with Http(private_hosts=[("127.0.0.1", receiver.port + 1)]) as http:
        client = WebhookClient(http)
        for url in (receiver.url, receiver.url.replace("http:", "https:")):
            with pytest.raises(AddressRefused):
                await client.send(MESSAGE, connection(url))
    assert not receiver.requests
    assert not receiver.connections


async def test_a_tenant_does_not_learn_which_names_a_private_network_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve = socket.getaddrinfo

    def resolved(host: Any, *args: Any, **kwargs: Any) -> Any:
        return resolve("127.0.0.1" if host == "a.corp.example" else "b.invalid", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    said = set()
    async with Http() as http:
        client = WebhookClient(http)
        for host in ("a.corp.example", "b.corp.example"):
            to = connection(f"https://{host}/hook")
            with pytest.raises(NetworkFailed) as failure:
                await client.send(MESSAGE, to)
            checked = await client.verify(to)
            told = f"{failure.value} {checked.message}".replace(host, "HOST")
            said.add((told, failure.value.outcome_code, failure.value.request_made))
    assert len(said) == 1


async def test_events_go_nowhere_in_clear_text_but_where_the_operator_allows_it(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("destinations.http.exchange.is_public", lambda address: True)
    async with Http() as http:
        with pytest.raises(AddressRefused):
            await WebhookClient(http).send(MESSAGE, connection(receiver.url))
    assert not receiver.connections


async def test_an_event_of_more_values_than_can_be_looked_for_leaves_no_answer(
    receiver: Receiver, client: WebhookClient
) -> None:
    receiver.fault = Fault(status=400, echo=True)
    for count, shown in ((5_000, '{"uuid":"8a7f'), (5_001, "[answer not shown")):
        payload = {f"key{i}": f"{i:05d}-value" for i in range(count - 1)}  # and the resource's id
        message = Message(call="send", body={**MESSAGE.body, "payload": payload})
        outcome = await client.send(message, connection(receiver.url))
        assert outcome.response_excerpt.startswith(shown)
        assert "-value" not in outcome.response_excerpt


@pytest.mark.parametrize(
    ("fault", "verdict", "message"),
    [
        (None, Verdict.RIGHT, "the receiver accepted a test message"),
        (
            Fault(status=403),
            Verdict.WRONG_KEY,
            "a test message was answered with 403: the receiver refused the authentication",
        ),
        (
            Fault(status=404),
            Verdict.UNKNOWN,
            "a test message was answered with 404: the request was refused",
        ),
        (Fault(kind="stall"), Verdict.UNKNOWN, "no answer to a test message: no answer from"),
    ],
)
async def test_saving_a_connection_can_be_preceded_by_a_test_message(
    receiver: Receiver, http: Http, fault: Fault | None, verdict: Verdict, message: str
) -> None:
    receiver.fault = fault
    client = WebhookClient(http, total_timeout=TIMEOUT)
    verified = await client.verify(connection(receiver.url, {"signing_secret": FIRST}))
    assert verified.verdict is verdict
    assert verified.message.startswith(message)
    [request] = receiver.requests
    sent = Webhook(FIRST).verify(request.content, request.headers)
    assert sent["event"] == "emitonce.test"


async def test_many_requests_to_one_slow_receiver_end_in_time(receiver: Receiver) -> None:
    receiver.fault = Fault(kind="stall")
    async with Http(1, private_hosts=[receiver.host]) as http:
        client = WebhookClient(http, total_timeout=TIMEOUT)
        ended = await asyncio.gather(
            *(client.send(MESSAGE, connection(receiver.url)) for _ in range(3)),
            return_exceptions=True,
        )
    assert all(isinstance(end, NoReply) for end in ended)
