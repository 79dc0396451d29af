"""The simulator: two listening ports, what they received, and how to steer it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import h11

from destinations.customerio.simulator.answer import Answer
from destinations.customerio.simulator.authorization import basic_key
from destinations.customerio.simulator.control import PREFIX, Control
from destinations.customerio.simulator.events import StoredEvent
from destinations.customerio.simulator.exchange import Exchange, received
from destinations.customerio.simulator.fault import Fault, FaultPlan, FaultRule, Path
from destinations.customerio.simulator.options import Options
from destinations.customerio.simulator.person import Person
from destinations.customerio.simulator.request import Request
from destinations.customerio.simulator.service import Service
from destinations.customerio.simulator.wire import Incoming, Wire

US_KEY = "sim-us-key"
EU_KEY = "sim-eu-key"
REGIONS = ("us", "eu")


class Simulator:
    """Make one with `start`. Everything is in memory and belongs to one event loop."""

    def __init__(
        self,
        host: str,
        keys: dict[str, frozenset[str]],
        options: Options,
        keep_requests: int | None,
    ) -> None:
        self._host = host
        self._start_keys, self._start_options = keys, options
        self._service = Service(keys, options)
        self._plan = FaultPlan()
        self._control = Control(self)
        self._requests: deque[Request] = deque(maxlen=keep_requests)
        self._received = 0
        self._ports: dict[str, int] = {}
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
        """Listen on both ports, 0 being any free one; `stop` when done.

        `keep_requests` bounds the log to the latest ones.
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
    def base_urls(self) -> dict[str, str]:
        return {region: f"http://{self._host}:{self._ports[region]}/v1" for region in REGIONS}

    @property
    def requests(self) -> Sequence[Request]:
        """Every call received, oldest first."""
        return list(self._requests)

    @property
    def people(self) -> list[Person]:
        return [person for space in self._service.workspaces() for person in space.people]

    @property
    def events(self) -> list[StoredEvent]:
        """Every event stored, held ones too, oldest first within a key."""
        return [event for space in self._service.workspaces() for event in space.events]

    @property
    def notices(self) -> list[str]:
        """What was dropped behind a 200, and why."""
        return [notice for space in self._service.workspaces() for notice in space.notices]

    @property
    def commands(self) -> list[str]:
        """Event names received that are commands, not events."""
        return [command for space in self._service.workspaces() for command in space.commands]

    @property
    def options(self) -> Options:
        return self._service.options

    @property
    def connection_count(self) -> int:
        """Connections that are open now."""
        return len(self._connections)

    def person(
        self,
        *,
        id: str | None = None,
        email: str | None = None,
        anonymous_id: str | None = None,
        cio_id: str | None = None,
    ) -> Person | None:
        """The only person that all given identifiers lead to; None when there is none.

        Raises:
            ValueError: there are several, in different regions or under different keys.
        """
        found = [
            person
            for person in self.people
            if id in (None, person.id)
            and (email is None or email.lower() == person.email)
            and (anonymous_id is None or anonymous_id in person.anonymous_ids)
            and cio_id in (None, person.cio_id)
        ]
        if len(found) > 1:
            raise ValueError(f"{len(found)} people have these identifiers")
        return found[0] if found else None

    def set_options(self, options: Options) -> None:
        self._service.options = options

    def set_keys(self, *, us: Iterable[str] | None = None, eu: Iterable[str] | None = None) -> None:
        """Replace the keys of the regions given."""
        for region, keys in (("us", us), ("eu", eu)):
            if keys is not None:
                self._service.keys[region] = frozenset(keys)

    def fail(
        self,
        path: Path = "*",
        *,
        fault: Fault,
        times: int | None = None,
        nth: Sequence[int] | None = None,
        region: str | None = None,
        key: str | None = None,
    ) -> None:
        """Let calls go wrong from now on; see `FaultRule`."""
        self.add_fault(
            FaultRule.model_validate(
                {
                    "path": path,
                    "fault": fault,
                    "times": times,
                    "nth": None if nth is None else tuple(nth),
                    "region": region,
                    "key": key,
                }
            )
        )

    def add_fault(self, rule: FaultRule) -> None:
        self._plan.add(rule)

    def clear_faults(self) -> None:
        self._plan.clear()

    def reset(self) -> None:
        """As just started: nothing received, nobody known, no faults, first keys and options."""
        self._requests.clear()
        self._received = 0
        self._plan.clear()
        # A new one: a call that is still stalled must not take effect in what comes now.
        self._service = Service(self._start_keys, self._start_options)

    async def until(self, condition: Callable[[], bool], *, timeout: float = 10) -> None:
        """Wait until `condition` holds; it is looked at after every change.

        Raises:
            TimeoutError: it doesn't after `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            while not condition():
                await self._changed.wait()

    async def refuse_connections(self, region: str) -> None:
        """Stop listening and break what is open; the port stays reserved for `region` by number."""
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
            # Cancelled by `refuse_connections` alone, which awaits the end and nothing else.
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
        key = basic_key(request.header("authorization"))
        request.fault = self._plan.take(request.call, region, key)
        self._requests.append(request)
        self._pulse()
        await Exchange(self._service, wire, self._pulse).run(request)

    def _pulse(self) -> None:
        self._changed.set()
        self._changed.clear()
