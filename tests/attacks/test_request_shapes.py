"""Requests that a proxy and a server might cut apart at different places: one answer at most."""

from __future__ import annotations

import pytest

from tests.attacks.production import Production

SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST /api/v1/events HTTP/1.1\r\nHost: a\r\n"

# A second request is hidden in each, so that a server that reads it so answers twice.
SHAPES: dict[str, bytes] = {
    "length and chunks": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
    "a list of lengths": POST + b"Content-Length: 0, 44\r\n\r\n",
    "a length with a sign": POST + b"Content-Length: +0\r\n\r\n",
    "a length below zero": POST + b"Content-Length: -1\r\n\r\n",
    "a length in hexadecimal": POST + b"Content-Length: 0x0\r\n\r\n",
    "chunked that isn't": POST + b"Transfer-Encoding: xchunked\r\n\r\n",
    "chunked with a tab": POST + b"Transfer-Encoding:\tchunked \x0b\r\n\r\n0\r\n\r\n",
    "chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a blank before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded header": POST
    + b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "a chunk size with a sign": POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "a chunk size in words": POST + b"Transfer-Encoding: chunked\r\n\r\nzero\r\n\r\n",
    "a NUL in a header": POST + b"X-A: \0\r\nContent-Length: 0\r\n\r\n",
    "a bare CR": POST + b"X-A: b\rContent-Length: 44\r\n\r\n",
    "no host": b"POST /api/v1/events HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "two hosts": POST + b"Host: b\r\nContent-Length: 0\r\n\r\n",
    "a request line of a megabyte": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a thousand headers": POST + b"X-A: b\r\n" * 20_000 + b"Content-Length: 0\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_ambiguous_request_is_refused_and_what_follows_it_is_not_heard(
    attacked: Production, shape: str
) -> None:
    answer = await attacked.raw(SHAPES[shape] + SMUGGLED)
    assert answer.count(b"HTTP/1.1 ") <= 1, answer
    assert b" 200 " not in answer.partition(b"\r\n")[0], answer
    assert b" 5" not in answer.partition(b"\r\n")[0][8:10], answer
    assert (await attacked.http.get("/healthz")).status_code == 200
