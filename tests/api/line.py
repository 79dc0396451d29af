"""Lines to the Temporal server and to PostgreSQL that can be cut, fall silent, and be mended."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from temporalio.client import Client

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Line:
    """Forwards TCP from `address` to a server, until it is cut."""

    def __init__(self, server: Client | str) -> None:
        """`server` is a path or `host:port`, or a client of the server."""
        if isinstance(server, Client):
            server = server.service_client.config.target_host
        self._target = server
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._loses = False
        self._silent = b""
        self.address = ""

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.cut()

    async def mend(self) -> None:
        """Forward again, at the same address."""
        port = int(self.address.rpartition(":")[2] or 0)
        self._flows.set()
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", port)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def cut(self) -> None:
        """End every connection; new ones are refused."""
        if self._server is not None:
            self._server.close()
        self.lose()

    def lose(self) -> None:
        """End every connection; new ones are forwarded."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def lose_next(self) -> None:
        """Lose what is sent next, and its connections; later ones are forwarded."""
        self._loses = True

    def fall_silent(self, only: bytes = b"") -> None:
        """Keep connections, and accept new ones, but forward nothing; `only` on those that have
        sent this text in the beginning."""
        self._silent = only
        self._flows.clear()

    def speak(self) -> None:
        """Forward again, also on the connections that there are."""
        self._flows.set()

    async def _open(self) -> Ends:
        if self._target.startswith("/"):
            return await asyncio.open_unix_connection(self._target)
        host, _, port = self._target.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        there, back = await self._open()
        self._writers.append(back)
        if writer.is_closing():  # it was cut meanwhile
            self.lose()
        said = bytearray()
        await asyncio.gather(self._pump(reader, back, said), self._pump(there, writer, said))

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytearray
    ) -> None:
        """`said` is what the client has sent in the beginning."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if len(said) < 1_000:
                    said += data[:1_000]
                if self._silent in said:
                    await self._flows.wait()
                if self._loses:
                    self._loses = False
                    self.lose()
                    return
                writer.write(data)
                await writer.drain()
        writer.close()


class DatabaseLine(Line):
    """To the PostgreSQL of `dsn`; `url` is the same database's through the line."""

    def __init__(self, dsn: str) -> None:
        self._dsn = urlsplit(dsn)
        asked = parse_qs(self._dsn.query)
        host = unquote(asked["host"][0]) if "host" in asked else self._dsn.hostname or "127.0.0.1"
        port = asked["port"][0] if "port" in asked else self._dsn.port or 5432
        super().__init__(f"{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}")

    @property
    def url(self) -> str:
        user = self._dsn.netloc.rpartition("@")[0]
        return f"postgresql://{user}@{self.address}{self._dsn.path}"
