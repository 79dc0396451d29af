"""One caller's connection: how long it may take to ask, and how many there may be at once.

The server underneath limits how long a connection may be idle between two requests, and nothing
before the first one: whoever connects and says nothing would be waited for, for ever.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0

_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n"
    b"Cache-Control: no-store\r\n\r\n"
)


class BoundedConnection(H11Protocol):
    """Closed when a request's header isn't there within `HEADER_SECONDS` of its first byte, or of
    the connection's beginning.

    Of more than `most` connections those give way that have waited longest for a request; where
    all are at work, a new one is closed.
    """

    most = 1_000
    waiting: OrderedDict[BoundedConnection, None]
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            oldest = next(iter(self.waiting), self)
            oldest.transport.abort()
            self.waiting.pop(oldest, None)
            if oldest is self:
                return
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE:
            self._wait()
        else:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:
            self._wait()
        else:  # idle, for as long as the server's own time limit allows
            self.waiting[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self.waiting.setdefault(self)
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        self.waiting.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._stop_waiting()
        if self.conn.trailing_data[0]:
            self.transport.write(_TOO_SLOW)
        self.transport.close()


def bounded(most: int) -> type[BoundedConnection]:
    """The connections of one server, of which there are `most` at a time."""
    values: dict[str, Any] = {"most": most, "waiting": OrderedDict()}
    return type("BoundedConnection", (BoundedConnection,), values)
