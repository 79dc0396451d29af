"""What the client promises, seen from the other end of a socket."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from pydantic import SecretStr

from delivery.message import Message
from delivery.outcome import Outcome, OutcomeCode
from destinations.customerio.client import CustomerIOClient
from destinations.customerio.simulator import US_KEY, Fault
from destinations.destination import Verdict
from destinations.http.errors import (
    AnswerTimeout,
    ConnectFailed,
    ConnectionLost,
    HostNotFound,
    InvalidAnswer,
    NetworkFailed,
    NoReply,
    NotSent,
    TimedOut,
    TlsFailed,
)
from destinations.http.exchange import Http
from tests.contract.customerio_samples import EU, IDENTIFY, TIMEOUT, TRACK, US, Key, basic

WRONG = SecretStr("nobody-knows-this-key")


@asynccontextmanager
async def elsewhere(
    answer: bytes = b"", *, endless: bytes = b""
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Another host: its base URL, and what was received there. Answers every connection alike."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(65_536))
        with contextlib.suppress(ConnectionError):
            writer.write(answer)
            while endless:
                writer.write(endless)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield f"http://{host}:{port}/v1", received
    server.close()


@pytest_asyncio.fixture
async def http():
    async with Http() as opened:
        yield opened


@pytest.fixture
def client(sim, http) -> CustomerIOClient:
    return CustomerIOClient(http, sim.base_urls)


@pytest.fixture
def hasty(sim, http) -> CustomerIOClient:
    """Gives up after 0.3 s instead of 10."""
    return CustomerIOClient(http, sim.base_urls, total_timeout=TIMEOUT)


@pytest.mark.parametrize("message", [IDENTIFY, TRACK])
async def test_one_request_with_exactly_these_headers_and_bytes(sim, client, message):
    assert await client.send(message, US) == Outcome.of_answer(200, excerpt="{}\n")
    [request] = sim.requests
    assert request.method == "POST"
    assert request.path == f"/v1/{message.call}"
    assert request.raw == message.encode()
    assert dict(request.headers) == {
        "host": sim.base_urls["us"].removeprefix("http://").removesuffix("/v1"),
        "authorization": basic(US_KEY),
        "x-strict-mode": "1",
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "emitonce",
        "content-length": str(len(message.encode())),
    }


async def test_both_calls_take_effect(sim, client):
    await client.send(IDENTIFY, US)
    await client.send(TRACK, US)
    person = sim.person(id="usr_2048", email="test@example.com")
    assert person.attributes == {"plan": "premium", "city": "Łódź"}
    assert [(event.name, event.person) for event in sim.events] == [("Signed Up", person)]


async def test_a_request_goes_to_its_region(sim, client):
    await client.send(IDENTIFY, EU)
    assert [request.region for request in sim.requests] == ["eu"]


async def test_a_wrong_key_is_told_because_the_mode_is_strict(sim, client):
    outcome = await client.send(IDENTIFY, Key("us", EU.api_key))
    assert outcome.status_code == 401
    assert not sim.people


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed_and_the_key_stays_here(sim, client, status):
    async with elsewhere() as (url, connections):
        sim.fail(fault=Fault(status=status, headers={"Location": f"{url}/v1/identify"}))
        assert (await client.send(IDENTIFY, US)).status_code == status
        assert len(sim.requests) == 1
        assert connections == []


async def test_a_redirect_to_the_same_host_is_not_followed_either(sim, client):
    sim.fail(fault=Fault(status=307, headers={"Location": "/v1/track"}), times=1)
    assert (await client.send(IDENTIFY, US)).status_code == 307
    assert len(sim.requests) == 1


async def test_cookies_do_not_wander_from_one_tenant_to_the_next(sim, client):
    sim.fail(fault=Fault(headers={"Set-Cookie": "tenant=1; Path=/"}))
    await client.send(IDENTIFY, US)
    await client.send(TRACK, US)
    assert [request.header("cookie") for request in sim.requests] == [None, None]


@pytest.mark.parametrize(
    "status", [200, 202, 204, 400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 522, 524]
)
async def test_whatever_status_comes_is_judged_after_one_request(sim, client, status):
    body = "" if status == 204 else "said"
    sim.fail(fault=Fault(status=status, body=body))
    assert await client.send(IDENTIFY, US) == Outcome.of_answer(status, excerpt=body)
    assert len(sim.requests) == 1


@pytest.mark.parametrize(
    "retry_after", ["2", "Tue, 24 Nov 2026 12:00:00 GMT", "abc", "-1", "999999", None]
)
async def test_retry_after_is_passed_on_as_it_came(sim, client, retry_after):
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    sim.fail(fault=Fault(status=429, headers=headers))
    assert (await client.send(IDENTIFY, US)).retry_after == retry_after


@pytest.mark.parametrize("body", ["", "<html>fine</html>", "null", "\ufeff{}"])
async def test_an_odd_body_does_not_turn_success_into_failure(sim, client, body):
    sim.fail(fault=Fault(body=body))
    assert await client.send(IDENTIFY, US) == Outcome.of_answer(200, excerpt=body)


@pytest.mark.parametrize(
    ("fault", "expected", "stored"),
    [
        (Fault(kind="reset_before_headers"), ConnectionLost, False),
        (Fault(kind="reset_after_store"), ConnectionLost, True),
        (Fault(kind="stall"), AnswerTimeout, False),
        (Fault(kind="stall", store="first"), AnswerTimeout, True),
        (Fault(kind="slow_drip", drip_seconds=0.05), AnswerTimeout, True),
        (Fault(delay=60), AnswerTimeout, True),
    ],
)
async def test_without_a_status_there_is_no_reply_after_one_request(
    sim, hasty, fault, expected, stored
):
    sim.fail(fault=fault)
    with pytest.raises(expected):
        await hasty.send(TRACK, US)
    assert [request.stored for request in sim.requests] == [stored]


async def test_a_call_that_timed_out_may_still_take_effect_later(sim, hasty):
    sim.fail(fault=Fault(kind="stall", store="late"))
    with pytest.raises(AnswerTimeout):
        await hasty.send(TRACK, US)
    await sim.until(lambda: len(sim.events) == 1)


async def test_sending_again_after_an_ambiguous_end_stores_one_event(sim, client):
    sim.fail("track", fault=Fault(kind="reset_after_store"), times=1)
    with pytest.raises(ConnectionLost):
        await client.send(TRACK, US)
    await client.send(TRACK, US)
    first, second = sim.requests
    assert first.raw == second.raw
    assert len(sim.events) == 1


@pytest.mark.parametrize("status", [200, 503])
async def test_a_status_counts_although_its_body_never_ends(sim, hasty, status):
    sim.fail(
        fault=Fault(
            kind="slow_drip", status=status, drip_from="body", body_bytes=900, drip_seconds=0.01
        )
    )
    outcome = await hasty.send(IDENTIFY, US)
    assert outcome.status_code == status
    assert outcome.response_excerpt.endswith("x…")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", b"SSH-2.0-OpenSSH_9.9\r\n"])
async def test_what_is_no_answer_is_network_trouble(sim, client, answer):
    raw = base64.b64encode(answer).decode()
    sim.fail(fault=Fault(kind="raw", raw_base64=raw), times=1)
    with pytest.raises(NetworkFailed):
        await client.send(TRACK, US)
    assert not sim.requests[0].stored
    assert (await client.send(TRACK, US)).status_code == 200


@pytest.mark.parametrize(
    "rest", [b"Content-Length: 99\r\n\r\nshort", b"Content-Length: 2\r\n\r\n\xff\xfe"]
)
async def test_a_status_counts_whatever_follows_it(sim, client, rest):
    raw = base64.b64encode(b"HTTP/1.1 503 Away\r\n" + rest).decode()
    sim.fail(fault=Fault(kind="raw", raw_base64=raw), times=1)
    assert (await client.send(TRACK, US)).status_code == 503


async def test_many_requests_waiting_for_one_connection_end_in_time(sim):
    sim.fail(fault=Fault(kind="stall"))
    async with Http(max_connections=1) as http:
        client = CustomerIOClient(http, sim.base_urls, total_timeout=TIMEOUT)
        ended = await asyncio.gather(
            *(client.send(TRACK, US) for _ in range(5)), return_exceptions=True
        )
    assert all(isinstance(end, TimedOut) for end in ended)


async def test_refused_connection_is_network_trouble_and_ends_with_the_outage(sim, client):
    await client.send(IDENTIFY, US)
    await sim.refuse_connections("us")
    await asyncio.sleep(0.05)  # until the client has seen that its kept connection is closed
    with pytest.raises(ConnectFailed):
        await client.send(IDENTIFY, US)
    await sim.accept_connections("us")
    assert (await client.send(IDENTIFY, US)).status_code == 200


async def test_unknown_host_is_network_trouble(http):
    client = CustomerIOClient(http, {"us": "http://no-such-host.invalid/v1"})
    with pytest.raises(HostNotFound):
        await client.send(IDENTIFY, US)


async def test_a_host_without_tls_gets_no_key(sim, http):
    secure = {"us": sim.base_urls["us"].replace("http:", "https:")}
    with pytest.raises(TlsFailed):
        await CustomerIOClient(http, secure).send(IDENTIFY, US)
    assert not sim.requests


async def test_an_answer_in_another_protocol_is_network_trouble(http):
    async with elsewhere(b"220 mail.example.com ESMTP\r\n\r\n") as (url, _):
        with pytest.raises(InvalidAnswer):
            await CustomerIOClient(http, {"us": url}).send(IDENTIFY, US)


async def test_a_region_without_base_url_is_not_sent_anywhere(sim, http):
    with pytest.raises(NotSent):
        await CustomerIOClient(http, sim.base_urls).send(IDENTIFY, Key("mars", EU.api_key))


@pytest.mark.parametrize(
    "url", ["", "cdp.customer.io/v1", "ftp://host/v1", "https://user:pw@host/v1", "http://h/?a=b"]
)
def test_a_base_url_that_is_none_is_refused_at_once(url):
    with pytest.raises(ValueError, match="region 'us'"):
        CustomerIOClient(Http(), {"us": url})


async def test_of_a_big_answer_64_kib_are_read_and_2000_characters_kept(sim, client):
    sim.fail(fault=Fault(status=500, body_bytes=16_000_000), times=1)
    outcome = await client.send(IDENTIFY, US)
    assert outcome.status_code == 500
    assert outcome.response_excerpt == "x" * 1_999 + "…"
    assert (await client.send(IDENTIFY, US)).status_code == 200


async def test_an_answer_without_end_is_left(http):
    head = b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with elsewhere(head, endless=b"400\r\n" + b"x" * 1024 + b"\r\n") as (url, _):
        outcome = await CustomerIOClient(http, {"us": url}).send(IDENTIFY, US)
    assert outcome.status_code == 500


async def test_a_packed_answer_is_not_unpacked(sim, client):
    sim.fail(fault=Fault(status=400, headers={"Content-Encoding": "gzip"}, body="test@example.com"))
    outcome = await client.send(IDENTIFY, US)
    assert outcome == Outcome.of_answer(400, excerpt="[packed answer, not shown]")


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_an_answer_that_quotes_the_request_is_kept_without_it(sim, client, status):
    sim.fail(fault=Fault(status=status, echo=True))
    outcome = await client.send(IDENTIFY, US)
    assert "could not process" in outcome.response_excerpt
    for personal in ("usr_2048", "test@example.com", "example", "premium", "Łódź"):
        assert personal not in outcome.response_excerpt


async def test_an_answer_that_quotes_the_key_is_kept_without_it(sim, client):
    sim.fail(fault=Fault(status=401, body=f"bad key {US_KEY} in {basic(US_KEY)}"))
    assert (
        await client.send(IDENTIFY, US)
    ).response_excerpt == "bad key [redacted] in Basic [redacted]"


@pytest.mark.parametrize(
    "fault", [Fault(kind="reset_before_headers"), Fault(kind="stall"), Fault(kind="slow_drip")]
)
async def test_a_failure_tells_nothing_personal_however_it_is_printed(sim, hasty, fault):
    sim.fail(fault=fault)
    with pytest.raises(NoReply) as failure:
        await hasty.send(IDENTIFY, US)
    assert failure.value.outcome_code in (OutcomeCode.TIMEOUT, OutcomeCode.NETWORK_ERROR)
    assert failure.value.__cause__ is None
    told = "".join(traceback.format_exception(failure.value))
    for personal in ("usr_2048", "example.com", US_KEY, basic(US_KEY)):
        assert personal not in told


async def test_connections_are_kept_and_none_is_left_behind(sim, http, client):
    for _ in range(20):
        await client.send(TRACK, US)
    assert sim.connection_count == 1
    sim.fail(fault=Fault(kind="stall"))
    hasty = CustomerIOClient(http, sim.base_urls, total_timeout=TIMEOUT)
    await asyncio.gather(*(hasty.send(TRACK, US) for _ in range(20)), return_exceptions=True)
    await sim.until(lambda: sim.connection_count == 0)


async def test_cancelling_a_request_in_flight_closes_its_connection(sim, client):
    sim.fail(fault=Fault(kind="stall"))
    sending = asyncio.create_task(client.send(TRACK, US))
    await sim.until(lambda: len(sim.requests) == 1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await sim.until(lambda: sim.connection_count == 0)


@pytest.mark.parametrize("id", ["a/b", "a+b@c", "a%40b", 'q"uote', "ümläut", "0"])
async def test_odd_ids_arrive_as_they_are(sim, client, id):
    message = Message(call="identify", body={"userId": id, "traits": {}})
    await client.send(message, US)
    assert sim.requests[0].body["userId"] == id


@pytest.mark.parametrize("region", [US, EU])
async def test_a_right_key_is_verified_without_writing_anything(sim, client, region):
    verification = await client.verify(region)
    assert (verification.verdict, verification.region) == (Verdict.RIGHT, region.region)
    assert [request.raw for request in sim.requests] == [b"{}"]
    assert not sim.people


async def test_a_key_of_the_other_region_is_told_so(client):
    verification = await client.verify(Key("us", EU.api_key))
    assert (verification.verdict, verification.region) == (Verdict.WRONG_REGION, "eu")
    assert verification.message == "this key belongs to region eu, not us"


async def test_a_wrong_key_is_asked_for_once_in_each_region(sim, client):
    verification = await client.verify(Key("eu", WRONG))
    assert verification.verdict is Verdict.WRONG_KEY
    assert [request.region for request in sim.requests] == ["eu", "us"]
    assert "copy it again (no other region accepts it either)" in verification.message
    assert WRONG.get_secret_value() not in verification.message


async def test_a_key_refused_here_is_wrong_even_if_the_other_region_is_away(sim, client):
    await sim.refuse_connections("eu")
    verification = await client.verify(Key("us", WRONG))
    assert verification.verdict is Verdict.WRONG_KEY
    assert "another region could not be checked" in verification.message


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(status=302), Fault(kind="stall")])
async def test_a_key_that_nobody_judged_is_neither_right_nor_wrong(sim, hasty, fault):
    sim.fail(fault=fault)
    verification = await hasty.verify(US)
    assert verification.verdict is Verdict.UNKNOWN
    assert "could not be checked" in verification.message
    assert len(sim.requests) == 1
