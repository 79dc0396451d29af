"""A key is sent to a public address, or to one that an operator has named; to no other."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from catalog.connections import Credential
from delivery.message import Message
from delivery.outcome import OutcomeCode
from destinations.customerio.addresses import _is_public, names_own_network
from destinations.customerio.client import VENDOR_URLS, CustomerIOClient, open_transport
from destinations.customerio.errors import AddressRefused
from tests.integration.stack import eventually

MESSAGE = Message(call="identify", body={"userId": "usr_2048"})
CREDENTIAL = Credential(region="us", api_key=SecretStr("key-that-nobody-may-see"))


@asynccontextmanager
async def listener() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A port of this machine, and what each connection to it has sent."""
    received: list[bytes] = []

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], received


async def _are(received: list[bytes], count: int) -> bool:
    return len(received) == count


@pytest.fixture
def poisoned_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name means this machine."""
    resolve = socket.getaddrinfo

    def poisoned(host: Any, *args: Any, **kwargs: Any) -> Any:
        return resolve("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", poisoned)


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_nothing_is_sent_where_a_public_name_leads_into_a_private_network(
    poisoned_dns: None, scheme: str
) -> None:
    async with listener() as (port, received), open_transport() as http:
        client = CustomerIOClient(http, {"us": f"{scheme}://cdp.customer.io:{port}/v1"})
        for _ in range(2):  # nor from what the resolver has kept
            with pytest.raises(AddressRefused) as caught:
                await client.send(MESSAGE, CREDENTIAL)
    assert not received  # not even connected
    assert caught.value.outcome_code is OutcomeCode.NETWORK_ERROR
    assert str(caught.value) == (
        "cdp.customer.io led to an address in a private network, so nothing was sent: "
        "check DNS and the hosts file"
    )


async def test_where_an_operator_has_pointed_us_on_purpose_it_is_sent(poisoned_dns: None) -> None:
    async with listener() as (port, received), open_transport() as http:
        for host in ("127.0.0.1", "simulator", "customerio.internal"):
            client = CustomerIOClient(http, {"us": f"http://{host}:{port}/v1"}, total_timeout=0.5)
            with pytest.raises(Exception, match=host):
                await client.send(MESSAGE, CREDENTIAL)
        await eventually(lambda: _are(received, 3))
    assert all(b"POST /v1/identify" in sent for sent in received)


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
    assert _is_public(address) is public
