"""One request and its answer, or the fault that happens instead."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

from destinations.simulator.answer import Answer
from destinations.simulator.fault import Fault
from destinations.simulator.request import Request
from destinations.simulator.wire import Incoming, Wire


class Exchange:
    """`answer` lets a request take effect. `noticed` is called whenever the request, or what it
    did, has changed.
    """

    def __init__(
        self, answer: Callable[[Request], Answer], wire: Wire, noticed: Callable[[], None]
    ) -> None:
        self._answer = answer
        self._wire = wire
        self._noticed = noticed

    async def run(self, request: Request) -> None:
        """Return when the client has its answer, or won't get one."""
        fault = request.fault
        if fault is None:
            await self._send(request, self._handle(request))
            return
        own = self._handle(request) if fault.stores == "first" else None
        try:
            await asyncio.sleep(fault.delay)
            await self._mistreat(request, fault, own)
        finally:
            if fault.stores == "late":
                self._handle(request)

    async def _mistreat(self, request: Request, fault: Fault, own: Answer | None) -> None:
        if fault.kind in ("reset_before_headers", "reset_after_store"):
            self._wire.reset()
        elif fault.kind == "stall":
            await self._wire.client_left()
        elif fault.kind == "raw":
            await self._wire.send_raw(fault.raw)
        elif fault.kind == "half_close":
            await self._wire.half_close(fault.raw)
        elif fault.kind == "slow_drip":
            whole = fault.drip_from == "head"
            await self._wire.drip(faulty(fault, own, request), fault.drip_seconds, whole=whole)
        else:
            await self._send(request, faulty(fault, own, request))

    async def _send(self, request: Request, answer: Answer) -> None:
        request.status = answer.status
        request.answered = time.monotonic()
        self._noticed()
        await self._wire.send(answer)

    def _handle(self, request: Request) -> Answer:
        answer = self._answer(request)
        self._noticed()
        return answer


def faulty(fault: Fault, own: Answer | None, request: Request) -> Answer:
    """Make the answer that the fault specifies; the rest is as the service would answer."""
    plain = (
        own if own is not None and fault.status is None else Answer(fault.status or 200, b"{}\n")
    )
    body = plain.body
    if plain.status >= 300 and own is None:
        body = b""
    if fault.body is not None:
        body = fault.body.encode()
    elif fault.body_bytes is not None:
        body = b"x" * fault.body_bytes
    elif fault.echo:
        said = f"could not process: {request.raw.decode(errors='replace')}"
        body = json.dumps({"meta": {"errors": [said]}}, ensure_ascii=False).encode()
    return Answer(plain.status, body, tuple(fault.headers.items()), plain.content_type)


def received(seq: int, region: str, incoming: Incoming) -> Request:
    url = urlsplit(incoming.target)
    return Request(
        seq=seq,
        region=region,
        method=incoming.method,
        path=url.path,
        query=dict(parse_qsl(url.query)),
        headers=incoming.headers,
        raw=incoming.raw,
        received=time.monotonic(),
        received_at=datetime.now(UTC),
    )
