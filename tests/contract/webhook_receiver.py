"""A tenant's receiver on loopback, which misbehaves to order; it speaks the simulator's wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import h11

from destinations.simulator.answer import Answer
from destinations.simulator.fault import Fault
from destinations.simulator.wire import Wire


@dataclass
class Received:
    method: str
    target: str
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


@dataclass
class Receiver:
    """`fault` is what happens to every request from now on; without one they get 204."""

    port: int = 0
    fault: Fault | None = None
    requests: list[Received] = field(default_factory=list)
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def host(self) -> tuple[str, int]:
        """As an operator allows it."""
        return "127.0.0.1", self.port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        with contextlib.suppress(ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
            while (incoming := await wire.read_request()) is not None:
                self.requests.append(
                    Received(incoming.method, incoming.target, dict(incoming.headers), incoming.raw)
                )
                await self._answer(wire, self.fault or Fault(status=204))
                if not wire.next_request():
                    break
        wire.close()
        self.connections.discard(task)

    async def _answer(self, wire: Wire, fault: Fault) -> None:
        body = b"x" * (fault.body_bytes or 0) or (fault.body or "").encode()
        if fault.echo:
            body = self.requests[-1].content
        answer = Answer(fault.status or 200, body, tuple(fault.headers.items()), "text/html")
        play = {
            "answer": partial(wire.send, answer),
            "raw": partial(wire.send_raw, fault.raw),
            "stall": wire.client_left,
            "slow_drip": partial(
                wire.drip, answer, fault.drip_seconds, whole=fault.drip_from == "head"
            ),
        }
        if fault.kind.startswith("reset"):
            wire.reset()
        else:
            await play[fault.kind]()


@asynccontextmanager
async def open_receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    yield receiver
    server.close()
    tasks = list(receiver.connections)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
