"""Who connects and says nothing, half of something, or something without end, is not waited for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from starter.api import connection, middleware, served
from tests.api.caller import Api, parts_of
from tests.console.site import Site
from tests.integration.stack import Stack

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Stream]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer(stream: Stream, sent: bytes) -> bytes:
    """All that comes until the server closes the connection."""
    reader, writer = stream
    writer.write(sent)
    await writer.drain()
    async with asyncio.timeout(20):
        return await reader.read()


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", b""),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-", b"HTTP/1.1 408 "),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /hea", b"HTTP/1.1 200 "),
    ],
    ids=["nothing", "half a header", "half a second header"],
)
async def test_header_has_to_come_in_time(
    api: Api, monkeypatch: pytest.MonkeyPatch, sent: bytes, answered: bytes
) -> None:
    monkeypatch.setattr(connection, "HEADER_SECONDS", 0.2)
    async with connected(api.url) as stream:
        assert (await answer(stream, sent)).startswith(answered)


async def test_body_has_to_come_in_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.2)
    head = (
        "POST /api/v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n"
        f"X-Meshes-Publishable-Key: {api.public_key}\r\n\r\n"
    )
    async with connected(api.url) as stream:
        got = await answer(stream, head.encode() + b'{"event":')
    assert got.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in got.lower()


async def test_form_of_a_stranger_has_to_come_in_time(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.2)
    head = b"POST /sign-in HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\ncsrf="
    async with connected(site.url) as stream:
        got = await answer(stream, head)
    assert got.startswith(b"HTTP/1.1 408 ")


async def test_form_without_a_session_is_answered_before_it_is_there(site: Site) -> None:
    head = b"POST /w/none/rules HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\ncsrf="
    async with connected(site.url) as (reader, writer):
        writer.write(head)
        async with asyncio.timeout(20):
            assert (await reader.read(100)).startswith(b"HTTP/1.1 401 ")


async def test_connections_are_few_and_those_that_wait_longest_give_way(stack: Stack) -> None:
    async with served(parts_of(stack), host="127.0.0.1", port=0, max_connections=10) as url:
        idle = [connected(url) for _ in range(10)]
        streams = [await one.__aenter__() for one in idle]
        try:
            async with connected(url) as stream:
                asked = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                assert (await answer(stream, asked)).startswith(b"HTTP/1.1 200 ")
            async with asyncio.timeout(20):
                with contextlib.suppress(ConnectionResetError):
                    assert await streams[0][0].read() == b""
        finally:
            for one in idle:
                await one.__aexit__(None, None, None)


async def test_request_with_two_lengths_is_refused_and_its_connection_closed(api: Api) -> None:
    sent = (
        b"POST /api/v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    async with connected(api.url) as stream:
        got = await answer(stream, sent)
    assert got.startswith(b"HTTP/1.1 400 ")
    assert got.count(b"HTTP/1.1") == 1
