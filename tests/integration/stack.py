"""The real parts, wired together for a test: server, catalog, simulator, worker, emitter."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from catalog import Catalog
from catalog.connections import Connection
from catalog.encryption.cipher import CredentialCipher
from catalog.rules import Rule
from catalog.worker_share import since_ever
from delivery import search_attributes as names
from delivery.capabilities import Capabilities
from destinations import registry
from destinations.clients import make_clients
from destinations.customerio.simulator import US_KEY, Request, Simulator
from destinations.destination import Client as DestinationClient
from destinations.http.exchange import Http
from destinations.registry import this_release
from destinations.simulators import Simulators, open_simulators
from emitonce import Emitter, EventHandle
from emitonce.ids import Hashes
from emitonce.start import EventStarter
from eventlog.fetch import read_event_log
from eventlog.log import EventLog
from settings import Settings
from worker import make_worker

SECRET = b"s" * 32
CREDENTIAL_KEY = b"1" * 32
SAMPLE: dict[str, Any] = {
    "userId": "usr_2048",
    "email": "test@example.com",
    "first_name": "Test",
    "last_name": "User",
    "plan": "pro",
}


@dataclass
class Stack:
    """One organization and workspace, with the parts that deliver its events.

    Its worker reads `fleet`, what all workers know, and `limited_since`, when the limits of size
    came into force, whenever it matches an event.
    """

    client: Client
    database: str
    catalog: Catalog
    simulators: Simulators
    clients: Mapping[str, DestinationClient]
    emitter: Emitter
    settings: Settings
    organization: str
    workspace: str
    workers: list[Worker] = field(default_factory=list)
    fleet: Capabilities = field(default_factory=this_release)
    limited_since: datetime | None = field(default_factory=since_ever)

    @property
    def sim(self) -> Simulator:
        """Customer.io's."""
        simulator: Simulator = self.simulators["customer_io"]
        return simulator

    @property
    def task_queue(self) -> str:
        return self.settings.task_queue

    def make_worker(self) -> Worker:
        """A further worker on the test's task queue; whoever makes it runs it."""
        return make_worker(
            self.client,
            self.catalog,
            self.clients,
            self.settings,
            fleet=lambda: self.fleet,
            limited_since=lambda: self.limited_since,
        )

    async def tenant(self) -> Stack:
        """Return the same parts for a new organization and workspace, and reset the simulators.

        For tests that leave no delivery under way. A worker knows only the first stack's `fleet`.
        """
        for simulator in self.simulators.values():
            simulator.reset()
        organization = (await self.catalog.organizations.create("Tenant")).id
        workspace = await self.catalog.workspaces.create(organization, name="Acme app")
        return replace(self, organization=organization, workspace=workspace.id)

    async def connect(self, type: str, name: str | None = None, **fields: str) -> Connection:
        return await self.catalog.connections.create(
            self.organization,
            workspace=self.workspace,
            type=type,
            name=name or f"Acme {registry.BY_TYPE[type].label}",
            fields=fields,
            created_by="test",
        )

    async def connection(
        self, name: str = "Customer io", *, api_key: str = US_KEY, region: str = "us"
    ) -> Connection:
        """Customer.io's."""
        return await self.connect("customer_io", name, region=region, cdpApiKey=api_key)

    async def rule(
        self,
        connection: Connection | None = None,
        event: str = "user.signup",
        *,
        override: str | None = None,
        resource: str | None = None,
        **metadata: Any,
    ) -> Rule:
        connection = connection or await self.connection()
        chosen = {"action": "track_event", "event_name_override": override, **metadata}
        return await self.catalog.rules.create(
            self.organization,
            workspace=self.workspace,
            connection=connection.id,
            event=event,
            resource=resource,
            metadata={name: value for name, value in chosen.items() if value is not None},
            created_by="test",
        )

    async def emit(
        self, event: str = "user.signup", payload: dict[str, Any] | None = None, **fields: Any
    ) -> EventHandle:
        """As the server and other SDKs do: what can't be read is for the run to refuse."""
        starter = EventStarter(
            self.emitter.client, instance_secret=SECRET, task_queue=self.task_queue
        )
        return await starter.start(
            self.workspace, event, SAMPLE if payload is None else payload, **fields
        )

    async def log(self, handle: EventHandle) -> EventLog:
        return await read_event_log(self.client, handle.id)

    async def ended(self, handle: EventHandle) -> EventLog:
        """The log once the run has ended, whichever way."""
        run = self.client.get_workflow_handle(handle.id)
        try:
            await asyncio.wait_for(run.result(), 60)
        except TimeoutError:
            raise
        except Exception:  # how it ended is in the log
            return await self.log(handle)
        return await self.log(handle)

    async def log_when(
        self, handle: EventHandle, condition: Callable[[EventLog], bool], *, within: float = 20
    ) -> EventLog:
        """The log as soon as it is as `condition` wants it.

        Raises:
            AssertionError: it isn't within so many seconds.
        """
        log = await self.log(handle)

        async def holds() -> bool:
            nonlocal log
            log = await self.log(handle)
            return condition(log)

        await eventually(holds, within=within)
        return log

    async def listed(self, count: int) -> None:
        """Wait until lists, which follow a moment behind, show `count` events."""
        await listed(self.client, self.workspace, count)

    def calls(self, *, user: str | None = None) -> list[Request]:
        """What Customer.io received, in order; of one person alone with `user`."""
        return [
            request
            for request in self.sim.requests
            if user is None or (request.body or {}).get("userId") == user
        ]


@asynccontextmanager
async def open_stack(
    client: Client, database: str, *, working: bool = True, **overrides: Any
) -> AsyncIterator[Stack]:
    """`working=False` starts no worker; `overrides` are settings."""
    cipher = CredentialCipher({"k1": CREDENTIAL_KEY})
    settings = Settings(task_queue=f"deliveries-{uuid.uuid4()}", workflow_sandbox=True, **overrides)
    catalog = await Catalog.open(database, cipher, Hashes(SECRET), registry, max_connections=5)
    try:
        async with (
            open_simulators() as simulators,
            Http(private_hosts=settings.allowed_private_hosts) as http,
        ):
            urls = {type: one.base_urls for type, one in simulators.items()}
            organization = (await catalog.organizations.default()).id
            stack = Stack(
                client=client,
                database=database,
                catalog=catalog,
                simulators=simulators,
                clients=make_clients(http, urls, agent="emitonce"),
                emitter=Emitter(client, instance_secret=SECRET, task_queue=settings.task_queue),
                settings=settings,
                organization=organization,
                workspace=(await catalog.workspaces.create(organization, name="Acme app")).id,
            )
            if working:
                async with stack.make_worker():
                    yield stack
            else:
                yield stack
    finally:
        await catalog.close()


async def eventually(condition: Callable[[], Awaitable[bool]], *, within: float = 20) -> None:
    """Wait until `condition` holds.

    Raises:
        AssertionError: it does not within so many seconds.
    """
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.05)


async def listed(client: Client, workspace: str, count: int) -> None:
    """Wait until visibility, which lags behind, knows of `count` runs of the workspace."""

    async def known() -> bool:
        condition = f"{names.WORKSPACE.name} = '{workspace}'"
        return (await client.count_workflows(condition)).count >= count

    await eventually(known, within=60)


def waits(log: EventLog) -> bool:
    """Whether a delivery waits for its next attempt, the last one being over and on record."""
    return any(
        call.next_attempt_at is not None and not call.in_flight
        for delivery in log.deliveries
        for call in delivery.calls
    )


def is_held(log: EventLog) -> bool:
    return any(delivery.held is not None for delivery in log.deliveries)
