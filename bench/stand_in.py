"""A stand-in for Customer.io that costs next to nothing: it parses what it must, and notes when.

    python -m bench.stand_in PORT

POST /v1/identify, /v1/track   200 after `latency_ms`, or a fault by chance
POST /_reset                   {"latency_ms", "fail_503", "fail_429", "seed"}: forgets all
GET  /_tracked                 how many users have had a track answered 200
GET  /_requests                how many there were
GET  /_seen                    [[call, user, received_ns, status], …]; wall-clock nanoseconds

One process for all lanes; what it costs is not part of any.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time

_USER = re.compile(rb'"userId":\s*"([^"]*)"')
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)


class Seen:
    def __init__(self) -> None:
        self.reset({})

    def reset(self, options: dict[str, float]) -> None:
        self.calls: list[tuple[str, str, int, int]] = []
        self.tracked: set[str] = set()
        self.latency = options.get("latency_ms", 0) / 1000
        self.fail_503 = options.get("fail_503", 0)
        self.fail_429 = options.get("fail_429", 0)
        self._random = random.Random(options.get("seed", 1))

    def take(self, call: str, body: bytes) -> int:
        user = _USER.search(body)
        chance = self._random.random()
        status = 200
        if chance < self.fail_503:
            status = 503
        elif chance < self.fail_503 + self.fail_429:
            status = 429
        name = user[1].decode() if user else ""
        self.calls.append((call, name, time.time_ns(), status))
        if call == "track" and status == 200:
            self.tracked.add(name)
        return status


class Connection(asyncio.Protocol):
    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            found = _LENGTH.search(head)
            size = int(found[1]) if found else 0
            if len(self._buffer) < end + 4 + size:
                return
            body = self._buffer[end + 4 : end + 4 + size]
            self._buffer = self._buffer[end + 4 + size :]
            self._answer(head.split(b" ", 2)[1].decode(), body)

    def _answer(self, path: str, body: bytes) -> None:
        if path == "/_seen":
            self._send(200, json.dumps(self._seen.calls).encode())
        elif path == "/_tracked":
            self._send(200, str(len(self._seen.tracked)).encode())
        elif path == "/_requests":
            self._send(200, str(len(self._seen.calls)).encode())
        elif path == "/_reset":
            self._seen.reset(json.loads(body or b"{}"))
            self._send(200, b"{}")
        else:
            status = self._seen.take(path.rpartition("/")[2], body)
            if self._seen.latency:
                loop = asyncio.get_running_loop()
                loop.call_later(self._seen.latency, self._send, status, b"{}\n")
            else:
                self._send(status, b"{}\n")

    def _send(self, status: int, body: bytes) -> None:
        self._transport.write(
            b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (status, len(body), body)
        )


async def main(port: int) -> None:
    seen = Seen()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(seen), "127.0.0.1", port, backlog=1024)
    print(json.dumps({"ready": True}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
