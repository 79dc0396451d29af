"""An operator's endpoint on a socket of its own, which checks what it is sent."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h11

KEY = b"operator's secret, 32 bytes long"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


@dataclass
class Receiver:
    """`answers` are statuses of the next posts; then 204. A wrong signature gets 401.

    `beats` counts what is asked of it by GET. With `accepts_unsigned` it is like Slack's.
    """

    url: str = ""
    answers: list[int] = field(default_factory=list)
    posts: list[dict[str, str]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    beats: int = 0
    accepts_unsigned: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, type: str) -> list[dict[str, Any]]:
        return [alert["data"] for alert in self.alerts if alert["type"] == type]

    async def until(self, type: str, count: int = 1, *, within: float = 20) -> list[dict[str, Any]]:
        async with asyncio.timeout(within):
            while len(self.of(type)) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.of(type)

    def take(self, headers: dict[str, str], body: bytes) -> int:
        self.posts.append(headers)
        if self.accepts_unsigned:
            self.alerts.append(json.loads(body))
            return 200
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        signature = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        if headers["webhook-signature"] != f"v1,{signature}":
            return 401
        if self.answers:
            return self.answers.pop(0)
        self.alerts.append(json.loads(body))
        self.changed.set()
        return 204

    def beat(self) -> int:
        self.beats += 1
        return 200

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        headers, body, method = {}, b"", b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65_536))
            elif isinstance(event, h11.Request):
                method = event.method
                headers = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                break
        if isinstance(event, h11.EndOfMessage):
            status = self.take(headers, body) if method == b"POST" else self.beat()
            answer = h11.Response(status_code=status, headers=[("connection", "close")])
            writer.write(
                (connection.send(answer) or b"") + (connection.send(h11.EndOfMessage()) or b"")
            )
        writer.close()


@asynccontextmanager
async def open_receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/alerts"
    async with server:
        yield receiver
