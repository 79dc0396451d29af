"""Who connects and says nothing, half of something, or something without end, is not waited for."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from starter.api import connection, middleware
from tests.api.caller import Api
from tests.console.site import Site, open_site
from tests.integration.stack import Stack, eventually

pytestmark = pytest.mark.slow

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


@pytest.mark.parametrize(
    "asked",
    [b"POST /api/v1/events HTTP/1.1", b"GET /healthz HTTP/1.1", b"POST /w/none/rules HTTP/1.1"],
)
async def test_body_that_was_answered_already_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch, asked: bytes
) -> None:
    """However steadily it comes, a byte now and then."""
    monkeypatch.setattr(connection, "HEADER_SECONDS", 0.2)
    async with connected(site.url) as (reader, writer):
        writer.write(asked + b"\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        async with asyncio.timeout(20):
            assert (await reader.read(100)).startswith(b"HTTP/1.1 ")
            with contextlib.suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(b"x")
                    await writer.drain()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(100_000), 0.02)


async def test_caller_who_does_not_read_the_answers_is_cut_off(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "READ_SECONDS", 0.2)
    parts = urlsplit(api.url)
    with socket.socket() as deaf:
        deaf.connect((parts.hostname, parts.port))
        deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 500)  # 75 MB
        looked_at = select.poll()
        looked_at.register(deaf, 0)

        async def reset() -> bool:
            return bool(looked_at.poll(0))

        await eventually(reset)


async def test_others_have_their_turn_while_much_arrives_at_once() -> None:
    """Of a body in chunks of one byte, little is read at a time."""
    largest = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal largest
        more = True
        while more:
            message = await receive()
            largest, more = max(largest, len(message["body"])), message["more_body"]
        await Response()(scope, receive, send)

    config = uvicorn.Config(
        app, port=0, lifespan="off", log_config=None, http=connection.bounded(10)
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await eventually(started)
    host, port = server.servers[0].sockets[0].getsockname()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n"
    async with connected(f"http://{host}:{port}") as stream:
        assert (await answer(stream, head + b" " * 1_000_000)).startswith(b"HTTP/1.1 200 ")
    server.should_exit = True
    await serving
    assert 0 < largest <= connection.BYTES_AT_A_TIME


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /sign-in HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\ncsrf=",
        b"POST /api/v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
    ],
    ids=["nothing", "half a form", "half an event"],
)
async def test_connections_are_few_and_those_that_wait_longest_give_way(
    stack: Stack, sent: bytes
) -> None:
    """Wherever in a request their callers have stopped."""
    async with open_site(stack, serving={"max_connections": 10}) as site:
        idle = [connected(site.url) for _ in range(10)]
        streams = [await one.__aenter__() for one in idle]
        try:
            for _, writer in streams:
                writer.write(sent)
                await writer.drain()
            async with connected(site.url) as stream:
                asked = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                assert (await answer(stream, asked)).startswith(b"HTTP/1.1 200 ")
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
