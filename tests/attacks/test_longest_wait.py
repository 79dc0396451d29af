"""How long others wait while someone sends the worst bodies. Measured only for the report."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from delivery.size import LARGEST_PAYLOAD, MOST_VALUES
from tests.attacks.production import Production
from tests.integration.stack import SAMPLE

pytestmark = pytest.mark.slow

# `make attack` sends all of them, `make test-all` a part.
BODIES = 60 if os.environ.get("EMITONCE_TEST_ATTACK") else 4

LISTS = b'{"event":"a","payload":{"a":[' + b"[]," * 340_000 + b"1]}}"
LEGAL = b'{"event":"a","payload":{"a":[' + b"[]," * (MOST_VALUES - 10) + b"1]}}"
TEXT = b'{"event":"a","payload":{"a":"'
WORST: dict[str, bytes] = {
    "a megabyte of lists": LISTS,
    "a megabyte of lists and a NUL": LISTS.replace(b"1]}}", b'"\\u0000"]}}'),
    "a megabyte of lists and a surrogate pair": LISTS.replace(b"1]}}", b'"\\ud83d\\ude00"]}}'),
    "as many values as are accepted": LEGAL,
    "as many bytes as are accepted": TEXT + b"x" * (LARGEST_PAYLOAD - len(TEXT) - 3) + b'"}}',
    "escapes": TEXT + b"\\u0041" * ((LARGEST_PAYLOAD - len(TEXT) - 3) // 6) + b'"}}',
    "deep": b'{"event":"a","payload":' + b'{"a":' * 200_000 + b"1" + b"}" * 200_001,
}
IN_CHUNKS = "chunks of one byte"
CHUNKS = b"1\r\n \r\n" * 20_000 + b"0\r\n\r\n"


class Waits:
    """How long each answer took, in milliseconds."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []

    async def ask(self, request: Callable[[], Awaitable[Any]], until: asyncio.Event) -> None:
        while not until.is_set():
            began = time.perf_counter()
            answer = await request()
            self.milliseconds.append(1000 * (time.perf_counter() - began))
            assert answer.status_code in (200, 201), answer.text
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("name", [*WORST, IN_CHUNKS])
async def test_others_are_answered_while_the_worst_bodies_arrive(
    attacked: Production, name: str, record_property: Callable[[str, Any], None]
) -> None:
    """Two connections send them one after the other; two others ask and emit meanwhile."""
    over, looked, emitted = asyncio.Event(), Waits(), Waits()
    other = await attacked.catalog.workspaces.create(attacked.organization, name="Quiet neighbor")
    key = await attacked.catalog.publishable_keys.current(attacked.organization, other.id)
    assert key is not None
    event = {"event": "user.signup", "payload": SAMPLE}
    others = [
        asyncio.create_task(looked.ask(lambda: attacked.http.get("/healthz"), over)),
        asyncio.create_task(
            emitted.ask(lambda: attacked.emit(event, X_Meshes_Publishable_Key=key.public_key), over)
        ),
    ]
    seen = Counter[int]()

    async def send() -> None:
        for _ in range(BODIES // 2):
            if name == IN_CHUNKS:
                seen[await _in_chunks(attacked)] += 1
            else:
                seen[(await attacked.emit(WORST[name])).status_code] += 1

    try:
        await asyncio.gather(send(), send())
    finally:
        over.set()
        await asyncio.gather(*others)
        await attacked.catalog.workspaces.update(
            attacked.organization, other.id, name=f"Quiet {other.id[:8]}"
        )
    assert set(seen) <= {201, 400, 413, 429}, seen
    record_property("answers", dict(seen))
    record_property("longest_wait_ms", round(max(looked.milliseconds), 1))
    record_property("longest_emit_ms", round(max(emitted.milliseconds), 1))


async def _in_chunks(attacked: Production) -> int:
    head = (
        "POST /api/v1/events HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        f"X-Meshes-Publishable-Key: {attacked.public_key}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return int((await attacked.raw(head.encode() + CHUNKS)).split()[1])
