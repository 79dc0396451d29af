"""Answers that no good vendor gives. None of them may stop a delivery, or be believed in part."""

from __future__ import annotations

import base64
import gzip

from destinations.customerio.simulator import Fault


def raw(head: str, body: bytes = b"") -> Fault:
    """`head` without its line ends; the call took no effect."""
    lines = head.strip().splitlines()
    data = "\r\n".join((*(line.strip() for line in lines), "", "")).encode() + body
    return Fault(kind="raw", raw_base64=base64.b64encode(data).decode())


def half_closed(head: str, body: bytes) -> Fault:
    return raw(head, body).model_copy(update={"kind": "half_close"})


# 64 MiB of nothing, 64 KB on the wire.
_BOMB = gzip.compress(bytes(64 * 1024 * 1024), 9)

# An answer that begins with 503 is one,
# however its body goes on.
ANSWERS = {
    "a reset before the answer": Fault(kind="reset_before_headers"),
    "a reset after it had stored the call": Fault(kind="reset_after_store"),
    "byte by byte, for longer than anyone waits": Fault(kind="slow_drip", drip_seconds=0.5),
    "nothing, and an end": raw("").model_copy(update={"raw_base64": ""}),
    "nothing, by one that goes on listening": Fault(kind="half_close"),
    "half a body, by one that goes on listening": half_closed(
        "HTTP/1.1 503 Away\nContent-Length: 1000", b"short"
    ),
    "half a status line": Fault(kind="raw", raw_base64=base64.b64encode(b"HTTP/1.1 2").decode()),
    "no HTTP": raw("SSH-2.0-OpenSSH_9.9"),
    "a body shorter than it said": raw("HTTP/1.1 503 Away\nContent-Length: 1000", b"short"),
    "two lengths": raw("HTTP/1.1 503 Away\nContent-Length: 5\nContent-Length: 7", b"which"),
    "a length below zero": raw("HTTP/1.1 503 Away\nContent-Length: -1", b"less"),
    "a broken chunk": raw("HTTP/1.1 503 Away\nTransfer-Encoding: chunked", b"zz\r\nnot a length"),
    "a gzip bomb": raw(
        f"HTTP/1.1 503 Away\nContent-Encoding: gzip\nContent-Length: {len(_BOMB)}", _BOMB
    ),
    "10 MB": Fault(status=503, body_bytes=10_000_000),
    "invalid UTF-8": raw("HTTP/1.1 503 Away\nContent-Length: 4", b"\xff\xfe\xc0\x80"),
    "a header of 100 KB": raw(f"HTTP/1.1 503 Away\nX-Long: {'x' * 100_000}\nContent-Length: 0"),
    "what it was sent, in an error": Fault(status=500, echo=True),
}
