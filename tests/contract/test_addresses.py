"""A request is sent to a public address, or to where an operator has pointed us; to no other."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr
from structlog.testing import capture_logs

from delivery.message import Message
from delivery.outcome import OutcomeCode
from destinations.customerio.client import CustomerIOClient
from destinations.customerio.destination import VENDOR_URLS
from destinations.http import exchange
from destinations.http.addresses import is_public, names_own_network
from destinations.http.errors import AddressRefused, NoReply, TlsFailed
from destinations.http.exchange import Http
from tests.contract.customerio_samples import Key

MESSAGE = Message(call="identify", body={"userId": "usr_2048"})
CREDENTIAL = Key("us", SecretStr("key-that-nobody-may-see"))
PUBLIC = "93.184.215.14"
ACCEPTED = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def listener(
    host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[str]]]:
    """A port of this machine, and the address at which each request came. All are accepted."""
    received: list[str] = []

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        received.append(writer.get_extra_info("sockname")[0])
        writer.write(ACCEPTED)
        writer.close()

    server = await asyncio.start_server(on_connection, host, 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1], received


Dns = Callable[..., list[str]]


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Dns:
    """Let every name mean these addresses: one answer a look-up, the last one from then on."""
    resolve = socket.getaddrinfo

    def means(*answers: str | list[str]) -> list[str]:
        asked: list[str] = []

        def answered(host: Any, *args: Any, **kwargs: Any) -> Any:
            given = answers[min(len(asked), len(answers) - 1)]
            asked.append(str(host))
            addresses = [given] if isinstance(given, str) else given
            kwargs.pop("flags", None)
            return [info for one in addresses for info in resolve(one, *args, **kwargs)]

        monkeypatch.setattr(socket, "getaddrinfo", answered)
        return asked

    return means


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_nothing_is_sent_where_a_public_name_leads_into_a_private_network(
    dns: Dns, scheme: str
) -> None:
    dns("127.0.0.1")
    async with listener() as (port, received), Http() as http:
        client = CustomerIOClient(http, {"us": f"{scheme}://cdp.customer.io:{port}/v1"})
        for _ in range(2):  # nor from what the resolver has kept
            with pytest.raises(AddressRefused) as caught, capture_logs() as lines:
                await client.send(MESSAGE, CREDENTIAL)
    assert not received  # not even connected
    assert caught.value.outcome_code is OutcomeCode.NETWORK_ERROR
    assert not caught.value.request_made
    assert str(caught.value) == (
        "no public address is known of cdp.customer.io, so nothing was sent: check its name, DNS "
        "and the hosts file; EMITONCE_ALLOWED_PRIVATE_HOSTS allows private hosts"
    )
    [line] = lines  # for the operator
    assert (line["log_level"], line["address"]) == ("warning", "127.0.0.1")


async def test_where_an_operator_has_pointed_us_on_purpose_it_is_sent(dns: Dns) -> None:
    dns("127.0.0.1")
    async with listener() as (port, received), Http() as http:
        for host in ("127.0.0.1", "simulator", "customerio.internal"):
            client = CustomerIOClient(http, {"us": f"http://{host}:{port}/v1"})
            assert (await client.send(MESSAGE, CREDENTIAL)).status_code == 200
    assert len(received) == 3


async def ask(http: Http, url: str, **options: Any) -> int:
    return (await http.ask("POST", httpx.URL(url), {}, b"{}", **options)).status_code


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[::]",
        "0.0.0.0",
        "localhost",
        "localhost.",
        "127.0.0.1.",
        "127.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "2130706433",
        "\u2460\u2461\u2466.0.0.1",  # digits in circles, which IDNA makes 127
        "\uff11\uff12\uff17.0.0.1",
        "127\u3002\u0030\u3002\u0030\u30021",
    ],
)
async def test_however_this_machine_is_spelled_nothing_is_sent_to_it(host: str) -> None:
    async with listener() as (port, received), Http() as http:
        with pytest.raises((NoReply, httpx.InvalidURL)):
            await ask(http, f"http://{host}:{port}/")
    assert not received


async def test_what_a_name_meant_before_does_not_count(dns: Dns) -> None:
    asked = dns(PUBLIC, "127.0.0.1")
    loop = asyncio.get_running_loop()
    async with listener() as (port, received), Http() as http:
        [seen] = await loop.getaddrinfo("rebinding.example.com", port, type=socket.SOCK_STREAM)
        assert is_public(seen[4][0])  # as a check before the request would find
        with pytest.raises(AddressRefused):
            await ask(http, f"http://rebinding.example.com:{port}/")
    assert len(asked) == 2  # looked up once for the request, for check and connection together
    assert not received


async def test_of_several_addresses_only_public_ones_are_connected_to(
    dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "is_public", lambda address: address == "127.0.0.2")
    dns(["127.0.0.1", "127.0.0.2", "127.0.0.3"])
    async with listener("0.0.0.0") as (port, received), Http() as http:
        assert await ask(http, f"http://mixed.example.com:{port}/") == 200
    assert received == ["127.0.0.2"]


async def test_a_connection_opened_for_an_operator_serves_nobody_else(dns: Dns) -> None:
    dns("127.0.0.1")
    async with listener() as (port, _), Http() as http:
        assert await ask(http, f"http://alerts.example.com:{port}/", anywhere=True) == 200
        with pytest.raises(AddressRefused):
            await ask(http, f"http://alerts.example.com:{port}/")


async def test_name_servers_that_never_answer_hold_up_no_other_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve, released = socket.getaddrinfo, threading.Event()

    def slow(host: Any, *args: Any, **kwargs: Any) -> Any:
        if str(host).startswith("slow"):
            released.wait(20)
        return resolve("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    async with listener() as (port, received), Http() as http:
        waiting = [
            asyncio.create_task(ask(http, f"http://slow{number}.example.com:{port}/"))
            for number in range(40)  # more than a machine's usual threads
        ]
        await asyncio.sleep(0)
        try:
            assert await ask(http, f"http://receiver:{port}/", anywhere=True, seconds=5) == 200
        finally:
            released.set()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(end, AddressRefused) for end in ended)
    assert len(received) == 1


def certificate(host: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS with a certificate for `host`, and the file of who signed it: itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain, secret)
    return tls, chain


async def test_a_certificate_of_another_name_gets_nothing(
    dns: Dns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dns("127.0.0.1")
    tls, signer = certificate("receiver.example.com", tmp_path)
    monkeypatch.setattr(certifi, "where", lambda: str(signer))
    async with listener(tls=tls) as (port, received), Http() as http:
        for host in ("other.example.com", "127.0.0.1"):
            with pytest.raises(TlsFailed):
                await ask(http, f"https://{host}:{port}/", anywhere=True)
        assert not received
        assert await ask(http, f"https://receiver.example.com:{port}/", anywhere=True) == 200
    assert len(received) == 1


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("[::1]", True),
        ("::1", True),
        ("localhost", True),
        ("simulator", True),
        ("simulator.internal", True),
        ("box.LOCAL.", True),
        ("8.8.8.8", False),
        ("[2606:4700::1111]", False),
        ("cdp.customer.io", False),
        ("cdp-eu.customer.io", False),
        ("internal.example.com", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_which_hosts_say_by_themselves_that_they_are_not_on_the_internet(
    host: str, own: bool
) -> None:
    assert names_own_network(host) is own


def test_the_vendor_s_hosts_are_held_to_public_addresses() -> None:
    assert not any(names_own_network(httpx.URL(url).host) for url in VENDOR_URLS.values())
    assert all(httpx.URL(url).scheme == "https" for url in VENDOR_URLS.values())


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("34.107.200.1", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),  # cloud metadata
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:34.107.200.1", True),
        ("2002:7f00:1::", False),  # 6to4 of 127.0.0.1
        ("64:ff9b::7f00:1", False),  # NAT64 of 127.0.0.1
        ("64:ff9b::a9fe:a9fe", False),  # NAT64 of 169.254.169.254
        ("64:ff9b::226b:c801", True),  # NAT64 of 34.107.200.1, where IPv4 is reached so
        ("64:ff9b:1::226b:c801", False),  # NAT64 of a network's own
        ("::127.0.0.1", False),
        ("::34.107.200.1", False),
        ("fec0::1", False),
        ("::ffff:0:7f00:1", False),  # translated from 127.0.0.1 (RFC 7915)
        ("5f00::1", False),
        ("3fff::1", False),
        ("4000::1", False),
        ("192.88.99.1", False),
        ("192.0.0.8", False),
        ("192.0.0.9", False),
        ("::ffff:192.0.0.8", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("/run/proxy.sock", False),
        ("", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public
