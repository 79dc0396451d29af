"""A vendor on loopback: its listening ports, what they received, and how to steer it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Generic, Protocol, Self, TypeVar

import h11
from pydantic import JsonValue

from destinations.simulator.answer import Answer
from destinations.simulator.control import PREFIX, Control, Routes, read_object
from destinations.simulator.exchange import Exchange, received
from destinations.simulator.fault import Fault, FaultPlan, FaultRule
from destinations.simulator.request import Request
from destinations.simulator.wire import Incoming, Wire


class Service(Protocol):
    """A vendor without its sockets: requests in, answers out, effects within."""

    def accepts(self, region: str) -> str:
        """Say, for people, what authorizes a request."""
        ...

    def call_of(self, request: Request) -> str:
        """Name the call."""
        ...

    def key_of(self, request: Request) -> str | None:
        """Return what the request is authorized by, if it can be read."""
        ...

    def handle(self, request: Request) -> Answer:
        """Answer a request and apply its effect; `request.stored` says whether it had one."""
        ...

    def state(self) -> dict[str, JsonValue]:
        """Return what is stored, for people to look at."""
        ...


S = TypeVar("S", bound=Service)


class VendorSimulator(Generic[S]):
    """Make one, then `listen`. Everything is in memory and belongs to one event loop.

    A vendor's subclass names its `regions`, each with a port and a base URL that ends in
    `base_path`, and the `calls` that faults can be set for. `credentials` names the service's
    mapping from each accepted key or token to what it may do; `/_sim/` can replace it.
    """

    label: ClassVar[str]
    regions: ClassVar[tuple[str, ...]] = ("",)
    base_path: ClassVar[str] = ""
    calls: ClassVar[tuple[str, ...]]
    credentials: ClassVar[str] = ""

    def __init__(self, make: Callable[[], S]) -> None:
        """`make` makes the service as it is at first."""
        self._make = make
        self.service = make()
        self._host = ""
        self._ports: dict[str, int] = {}
        self._plan = FaultPlan()
        self._requests: deque[Request] = deque()
        self._received = 0
        self._under_way: list[Request] = []
        self._control = Control(self, self.control_routes())
        self._servers: dict[str, asyncio.Server] = {}
        self._connections: dict[asyncio.Task[None], str] = {}
        self._changed = asyncio.Event()

    def control_routes(self) -> Routes:
        """Return what can be steered at `/_sim/` besides what every simulator has."""
        return {self.credentials: {"POST": self._set_credentials}} if self.credentials else {}

    def _set_credentials(self, incoming: Incoming) -> JsonValue:
        given = read_object(incoming.raw)
        setattr(self.service, self.credentials, {key: str(value) for key, value in given.items()})
        return {}

    def state(self) -> dict[str, JsonValue]:
        return self.service.state()

    async def listen(
        self, *ports: int, host: str = "127.0.0.1", keep_requests: int | None = None
    ) -> Self:
        """Listen on a port for each region, 0 or none being any free one; `stop` when done.

        `keep_requests` limits the log to the latest requests.
        """
        self._host = host
        self._requests = deque(maxlen=keep_requests)
        self._ports = dict.fromkeys(self.regions, 0) | dict(zip(self.regions, ports, strict=False))
        try:
            for region in self.regions:
                await self.accept_connections(region)
        except OSError:
            await self.stop()
            raise
        return self

    async def stop(self) -> None:
        for region in self.regions:
            await self.refuse_connections(region)

    async def __aenter__(self) -> Self:
        return await self.listen()

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    @property
    def base_urls(self) -> dict[str, str]:
        return {
            region: f"http://{self._host}:{port}{self.base_path}"
            for region, port in self._ports.items()
        }

    @property
    def control_url(self) -> str:
        return f"http://{self._host}:{self._ports[self.regions[0]]}{PREFIX}"

    @property
    def requests(self) -> Sequence[Request]:
        """Every call received, oldest first."""
        return list(self._requests)

    @property
    def under_way(self) -> Sequence[Request]:
        """Calls that are being answered, or mistreated, at this moment."""
        return list(self._under_way)

    @property
    def connection_count(self) -> int:
        """The number of open connections."""
        return len(self._connections)

    def fail(
        self,
        path: str = "*",
        *,
        fault: Fault,
        times: int | None = None,
        nth: Sequence[int] | None = None,
        region: str | None = None,
        key: str | None = None,
    ) -> None:
        """Set a fault; see `FaultRule`."""
        self.add_fault(
            FaultRule(
                path=path,
                fault=fault,
                times=times,
                nth=None if nth is None else tuple(nth),
                region=region,
                key=key,
            )
        )

    def add_fault(self, rule: FaultRule) -> None:
        """Raises `ValueError` for a call or a region that the vendor doesn't have."""
        if rule.path not in ("*", *self.calls):
            raise ValueError(f"path: must be * or one of {', '.join(self.calls)}")
        if rule.region not in (None, *self.regions):
            raise ValueError(f"region: must be one of {', '.join(self.regions)}")
        self._plan.add(rule)

    def clear_faults(self) -> None:
        self._plan.clear()

    def reset(self) -> None:
        """As just started: nothing received or stored, no faults."""
        self._requests.clear()
        self._received = 0
        self._plan.clear()
        # A new one, so that a call that is still stalled has no effect on it.
        self.service = self._make()

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
        request.call = self.service.call_of(request)
        request.key = self.service.key_of(request)
        request.fault = self._plan.take(request.call, region, request.key)
        self._requests.append(request)
        self._under_way.append(request)
        self._pulse()
        try:
            await Exchange(self.service.handle, wire, self._pulse).run(request)
        finally:
            self._under_way.remove(request)

    def _pulse(self) -> None:
        self._changed.set()
        self._changed.clear()
