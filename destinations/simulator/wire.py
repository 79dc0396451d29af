"""HTTP/1.1 on one connection, with control over the socket: resets, stalls, single bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass

import h11

from destinations.simulator.answer import Answer

MAX_REQUEST_BYTES = 16_000_000
_WITHOUT_BODY = (204, 304)


@dataclass(frozen=True)
class Incoming:
    """A request as it came in. Header names are in lower case, in the order received."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    raw: bytes


class Wire:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)
        self._method = ""

    async def read_request(self) -> Incoming | None:
        """Read the next whole request; None if the client is done.

        Raises:
            h11.RemoteProtocolError: it is not HTTP, broke off or is too large.
        """
        head = await self._next_event()
        if not isinstance(head, h11.Request):
            return None
        self._method = head.method.decode()
        if self._http.they_are_waiting_for_100_continue:
            await self._write(h11.InformationalResponse(status_code=100, headers=[]))
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
            if len(body) > MAX_REQUEST_BYTES:
                raise h11.RemoteProtocolError("too large", error_status_hint=413)
        return Incoming(
            method=self._method,
            target=head.target.decode("latin-1"),
            headers=tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in head.headers),
            raw=bytes(body),
        )

    async def send(self, answer: Answer) -> None:
        head, body = self._encode(answer)
        self._writer.write(head + body)
        await self._writer.drain()

    async def send_raw(self, data: bytes) -> None:
        """Send bytes that may not be HTTP; the connection ends afterwards."""
        self._writer.write(data)
        await self._writer.drain()

    async def half_close(self, data: bytes) -> None:
        """Send as `send_raw`, close our end, and keep reading until the client leaves."""
        await self.send_raw(data)
        self._writer.write_eof()
        await self.client_left()

    async def drip(self, answer: Answer, seconds: float, *, whole: bool) -> None:
        """Send byte by byte, `seconds` apart: the whole answer, or its body after its head."""
        head, body = self._encode(answer)
        if not whole:
            self._writer.write(head)
        for byte in head + body if whole else body:
            self._writer.write(bytes((byte,)))
            await self._writer.drain()
            await asyncio.sleep(seconds)

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    async def client_left(self) -> None:
        """Return when the client has closed its end."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(4096):
                pass

    @property
    def can_answer(self) -> bool:
        return self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    def next_request(self) -> bool:
        """Prepare for another request; return False if the connection has to end."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    def close(self) -> None:
        self._writer.transport.abort()

    async def end(self) -> None:
        """Close after everything written has been sent."""
        with contextlib.suppress(ConnectionError):
            self._writer.close()
            await self._writer.wait_closed()

    def _encode(self, answer: Answer) -> tuple[bytes, bytes]:
        bare = answer.status in _WITHOUT_BODY or self._method == "HEAD"
        body = b"" if bare else answer.body
        own = {name.lower() for name, _ in answer.headers}
        headers = list(answer.headers)
        if "content-type" not in own and body:
            headers.append(("Content-Type", answer.content_type))
        if answer.status not in _WITHOUT_BODY:
            headers.append(("Content-Length", str(len(body))))
        response = h11.Response(
            status_code=answer.status,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        )
        head = self._http.send(response) or b""
        payload = self._http.send(h11.Data(data=body)) or b""
        return head, payload + (self._http.send(h11.EndOfMessage()) or b"")

    async def _write(self, event: h11.InformationalResponse) -> None:
        self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()

    async def _next_event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(65_536))
        return event
