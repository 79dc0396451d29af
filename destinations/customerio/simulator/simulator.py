"""The simulator: two listening ports, and what happens to a request on either."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

import h11

from destinations.customerio.simulator.answer import Answer
from destinations.customerio.simulator.control import PREFIX, Control
from destinations.customerio.simulator.exchange import Exchange, received
from destinations.customerio.simulator.options import Options
from destinations.customerio.simulator.state import State
from destinations.customerio.simulator.wire import Incoming, Wire

US_KEY = "sim-us-key"
EU_KEY = "sim-eu-key"
REGIONS = ("us", "eu")


class Simulator(State):
    """A running simulator; make it with `start`. Everything is in memory, in one event loop."""

    def __init__(
        self,
        host: str,
        keys: dict[str, frozenset[str]],
        options: Options,
        keep_requests: int | None,
    ) -> None:
        super().__init__(host, keys, options, keep_requests)
        self._control = Control(self)
        self._servers: dict[str, asyncio.Server] = {}
        self._connections: dict[asyncio.Task[None], str] = {}
        self._changed = asyncio.Event()

    @classmethod
    async def start(
        cls,
        us_port: int = 0,
        eu_port: int = 0,
        *,
        host: str = "127.0.0.1",
        us_keys: Iterable[str] = (US_KEY,),
        eu_keys: Iterable[str] = (EU_KEY,),
        options: Options | None = None,
        keep_requests: int | None = None,
    ) -> Simulator:
        """Listen on both ports, where 0 means any free port; call `stop` at the end.

        `keep_requests` limits the log to the latest requests.
        """
        keys = {"us": frozenset(us_keys), "eu": frozenset(eu_keys)}
        simulator = cls(host, keys, options or Options(), keep_requests)
        simulator._ports = {"us": us_port, "eu": eu_port}
        try:
            for region in REGIONS:
                await simulator.accept_connections(region)
        except OSError:
            await simulator.stop()
            raise
        return simulator

    async def stop(self) -> None:
        for region in REGIONS:
            await self.refuse_connections(region)

    @property
    def connection_count(self) -> int:
        """The number of open connections."""
        return len(self._connections)

    async def until(self, condition: Callable[[], bool], *, timeout: float = 10) -> None:
        """Wait until `condition` holds; it is checked after every change.

        Raises:
            TimeoutError: it doesn't hold within `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            while not condition():
                await self._changed.wait()

    async def refuse_connections(self, region: str) -> None:
        """Stop listening and break open connections; the port's number stays the region's."""
        server = self._servers.pop(region, None)
        if server is None:
            return
        server.close()
        tasks = [task for task, of in self._connections.items() if of == region]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def accept_connections(self, region: str) -> None:
        """Listen (again) on the region's port."""
        if region in self._servers:
            return
        server = await asyncio.start_server(
            partial(self._serve, region), self._host, self._ports[region]
        )
        self._servers[region] = server
        self._ports[region] = server.sockets[0].getsockname()[1]

    async def _serve(
        self, region: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = region
        wire = Wire(reader, writer)
        try:
            await self._answer_all(region, wire)
            await wire.end()
        except (ConnectionError, asyncio.CancelledError):
            # Only `refuse_connections` cancels this, and it waits for nothing but the end.
            pass
        finally:
            wire.close()
            del self._connections[task]
            self._pulse()

    async def _answer_all(self, region: str, wire: Wire) -> None:
        try:
            while (incoming := await wire.read_request()) is not None:
                await self._answer(region, wire, incoming)
                if not wire.next_request():
                    return
        except h11.RemoteProtocolError as err:
            if wire.can_answer:
                await wire.send(Answer(err.error_status_hint))

    async def _answer(self, region: str, wire: Wire, incoming: Incoming) -> None:
        if incoming.target.startswith(PREFIX):
            await wire.send(self._control.handle(incoming))
            return
        self._received += 1
        request = received(self._received, region, incoming)
        request.fault = self._plan.take(request.call, region, request.key)
        self._requests.append(request)
        self._pulse()
        await Exchange(self._service, wire, self._pulse).run(request)

    def _pulse(self) -> None:
        self._changed.set()
        self._changed.clear()
