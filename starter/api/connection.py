"""Bound the connections of callers: how many there are, and how long each may keep one waiting.

The server underneath limits only how long a connection may be idle between two requests. It would
wait forever for a caller who sends nothing, who goes on with a body that was answered long ago, or
who doesn't read the answers.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
READ_SECONDS = 30.0
# Of a request's whole header: thousands of fields cost milliseconds wherever they are read.
LARGEST_HEADER = 16 * 1024
# The most bytes that are read before others have their turn: at worst, in chunks of one byte, they
# are 5 ms of work.
BYTES_AT_A_TIME = 4 * 1024

_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n"
    b"Cache-Control: no-store\r\n\r\n"
)


class BoundedConnection(H11Protocol, asyncio.BufferedProtocol):
    """A connection that is closed if its caller is too slow.

    A request's header must arrive within `HEADER_SECONDS` of its first byte or of the connection's
    start, and the rest of a request within `HEADER_SECONDS` of its answer. Answers must be read
    within `READ_SECONDS`.

    Once there are more than `most` connections, the one whose caller has kept the server waiting
    longest is closed; if it waits for none of them, the new one is.
    """

    most = 1_000
    waiting: OrderedDict[BoundedConnection, None]
    _deadline: asyncio.TimerHandle | None = None
    _read_deadline: asyncio.TimerHandle | None = None
    _buffer = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            oldest = next(iter(self.waiting), self)
            oldest.transport.abort()
            self.waiting.pop(oldest, None)
            if oldest is self:
                return
        self._wait()

    def get_buffer(self, sizehint: int) -> bytearray:
        self._buffer = bytearray(BYTES_AT_A_TIME)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(memoryview(self._buffer)[:nbytes]))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            self._closing()
        elif self.conn.their_state is h11.IDLE or self.conn.our_state is h11.DONE:
            self._wait()
        else:
            self._stop_waiting()
            if self.conn.their_state is h11.SEND_BODY:
                self.waiting[self] = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._closing()
        elif self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]:
            self._wait()
        elif self.conn.their_state is h11.IDLE:  # for as long as the server's own limit allows
            self.waiting[self] = None

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._closing()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.waiting[self] = None
        self._has_to_read()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self.waiting.pop(self, None)
            self._stop_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_reading()
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
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self.transport.write(_TOO_SLOW)
        self.transport.close()
        self._closing()

    def _closing(self) -> None:
        """Wait only until the caller has read what it was sent."""
        self._stop_waiting()
        if self not in self.connections:
            return
        self.waiting[self] = None
        self._has_to_read()

    def _has_to_read(self) -> None:
        if self._read_deadline is None:
            self._read_deadline = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def _stop_reading(self) -> None:
        if self._read_deadline is not None:
            self._read_deadline.cancel()
            self._read_deadline = None


def bounded(most: int) -> type[BoundedConnection]:
    """Make the connection class of one server, which has at most `most` connections at a time."""
    values: dict[str, Any] = {"most": most, "waiting": OrderedDict()}
    return type("BoundedConnection", (BoundedConnection,), values)
