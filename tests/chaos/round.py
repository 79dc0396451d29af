"""One scenario's events: emitted over HTTP, settled, and gathered into facts for the oracle."""

from __future__ import annotations

import asyncio
import mmap
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from emitonce import AsyncHTTPEmitter
from emitonce.errors import NotAccepted
from eventlog.fetch import EventNotFound, read_event_log
from eventlog.log import EventLog
from tests.chaos.oracle import FIRST, Emitted, Facts, Held, Received
from tests.chaos.world import EVENT, World, until

AT_ONCE = 8
SETTLE_SECONDS = 240.0
SETTLED_A_SECOND = 10  # and that much longer for many
WAITED_FOR_AT_ONCE = 100
# A worker that stops gives its task back in this way; nothing is wrong with the workflow then.
_HARMLESS = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
)


@dataclass
class Round:
    """A workspace of its own, with a connection and a rule for each region.

    `further` says what vendors other than Customer.io have received.
    """

    world: World
    name: str
    workspace: str
    public_key: str
    emitted: list[Emitted] = field(default_factory=list)
    at: dict[str, float] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    further: Callable[[], Awaitable[list[Received]]] | None = None

    async def emit(
        self, count: int, event: str = EVENT, *, tries: int = 4, **about: Any
    ) -> list[Emitted]:
        """`count` events of as many people; `about` is what the oracle is to know of them."""
        slots = asyncio.Semaphore(AT_ONCE)
        async with self._emitter(tries) as emitter:

            async def one() -> Emitted:
                person = f"{self.name}-{len(self.events)}"
                self.events[person] = event
                async with slots:
                    self.at[person] = time.monotonic()
                    ids = await self._send(emitter, event, person)
                made = Emitted(person, f"key-of-{person}", ids, **about)
                self.emitted.append(made)
                return made

            return await asyncio.gather(*(one() for _ in range(count)))

    async def emit_again(self, latest: int | None = None) -> None:
        """Everything once more with its key, as a caller does that doesn't trust its memory.

        With `latest` only so many, those that were emitted last.
        """
        first = 0 if latest is None else max(0, len(self.emitted) - latest)
        async with self._emitter(tries=8) as emitter:
            for place, one in list(enumerate(self.emitted))[first:]:
                ids = await self._send(emitter, self.events[one.person], one.person)
                self.emitted[place] = replace(one, ids=(*one.ids, *ids))

    @asynccontextmanager
    async def _emitter(self, tries: int) -> AsyncIterator[AsyncHTTPEmitter]:
        emitter = AsyncHTTPEmitter(
            self.world.api_url, publishable_key=self.public_key, tries=tries, timeout=30
        )
        async with emitter:
            yield emitter

    async def _send(self, emitter: AsyncHTTPEmitter, event: str, person: str) -> tuple[str, ...]:
        planted = self.world.planted
        payload = {
            "userId": person,
            "email": f"{person}@{planted['e-mail']}",
            "secret": planted["trait"],
        }
        try:
            accepted = await emitter.emit(event, payload, idempotency_key=f"key-of-{person}")
        except NotAccepted:  # the API was away for longer than the caller's patience
            return ()
        return (accepted.id,)

    async def requests(self) -> list[Received]:
        """What vendors have received of this round."""
        log = [Received.of(entry) for entry in await self.world.asked("requests")]
        own = [one for one in log if one.person.startswith(f"{self.name}-")]
        return own + (await self.further() if self.further else [])

    async def received(self, count: int, call: str = "identify", *, within: float = 60) -> None:
        """Wait for so many requests."""

        async def so_many() -> bool:
            return sum(one.call == call for one in await self.requests()) >= count

        await until(so_many, within=within, what=f"{count} {call} requests")

    async def settled(self, *, within: float | None = None) -> None:
        """Wait until every event has ended; what is still open then is the oracle's to name."""
        ids = [id for one in self.emitted for id in one.ids[:1]]
        within = within or SETTLE_SECONDS + len(ids) / SETTLED_A_SECOND
        slots = asyncio.Semaphore(WAITED_FOR_AT_ONCE)

        async def ended(id: str) -> None:
            async with slots:
                await self.world.client.get_workflow_handle(id).result()

        results = asyncio.gather(*map(ended, ids), return_exceptions=True)
        try:
            await asyncio.wait_for(results, within)
        except TimeoutError:
            self.world.note(f"not settled after {within:.0f} s")

    async def logs(self) -> dict[str, EventLog]:
        """What became of every event that was accepted, as far as anything is known of it."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def read(id: str) -> EventLog | None:
            async with slots:
                try:
                    return await read_event_log(self.world.client, id)
                except (EventNotFound, RPCError):
                    return None

        ids = list(dict.fromkeys(id for one in self.emitted for id in one.ids))
        read_all = await asyncio.gather(*map(read, ids))
        return {id: log for id, log in zip(ids, read_all, strict=True) if log is not None}

    async def facts(self) -> Facts:
        runs = await self._runs()
        received = await self.requests()
        return Facts(
            emitted=self.emitted,
            logs=await self.logs(),
            runs=[run.id for run in runs],
            received=received,
            stored=await self._stored(received),
            open_runs=await self._count("ExecutionStatus = 'Running'"),
            failed_tasks=await failed_tasks(self.world.client, runs),
            leaks=leaks(self.world),
            took=self._took(received),
            held=self.held,
        )

    async def _runs(self) -> list[WorkflowExecution]:
        """Lists lag behind; they are given some time to show what was accepted."""
        wanted = {id for one in self.emitted for id in one.ids}

        async def listed() -> list[WorkflowExecution]:
            return [run async for run in self.world.client.list_workflows(self._query)]

        for _ in range(50):
            found = await listed()
            all_shown = wanted <= {run.id for run in found}
            if all_shown and not await self._count("ExecutionStatus = 'Running'"):
                break
            await asyncio.sleep(0.2)
        return await listed()

    @property
    def _query(self) -> str:
        return f"WorkflowType = 'DeliverEvent' AND EmitonceWorkspace = '{self.workspace}'"

    async def _count(self, condition: str) -> int:
        counted = await self.world.client.count_workflows(f"{self._query} AND {condition}")
        return int(counted.count)

    async def _stored(self, received: list[Received]) -> list[str]:
        """Whose events the vendor has stored; a message's id tells whose it is."""
        tracked = (one for one in received if one.type == FIRST and one.call == "track")
        people = {one.message_id: one.person for one in tracked}
        ids = [event["message_id"] for event in await self.world.asked("events")]
        return [people[id] for id in ids if id in people]

    def _took(self, received: list[Received]) -> list[float]:
        """Both clocks are the machine's monotonic one."""
        done = {
            one.person: one.answered
            for one in received
            if one.type == FIRST and one.call == "track" and one.accepted and one.answered
        }
        return [
            done[one.person] - self.at[one.person]
            for one in self.emitted
            if one.healthy and one.person in done
        ]


@asynccontextmanager
async def round_of(world: World, name: str) -> AsyncIterator[Round]:
    """A round in a world where the API runs; in the end its workers are killed."""
    await world.asked("reset", "POST", {})
    async with world.catalog() as catalog:
        organization = (await catalog.organizations.default()).id
        workspace = (await catalog.workspaces.create(organization, name=name)).id
        for region, event in (("us", EVENT), ("eu", "healthy.event")):
            connection = await catalog.connections.create(
                organization,
                workspace=workspace,
                name=f"Customer io {region}",
                type="customer_io",
                fields={"region": region, "cdpApiKey": world.planted["api key"]},
                created_by="chaos",
            )
            await catalog.rules.create(
                organization,
                workspace=workspace,
                connection=connection.id,
                event=event,
                metadata={"action": "track_event"},
                created_by="chaos",
            )
        key = await catalog.publishable_keys.create(
            organization, workspace=workspace, name=name, created_by="chaos"
        )
    if world.api is None or not world.api.alive:
        await world.start_api()
    try:
        yield Round(world, name, workspace, key.public_key)
    finally:
        await world.end_workers()


async def failed_tasks(client: Client, runs: Iterable[WorkflowExecution]) -> dict[str, int]:
    """How many workflow tasks failed, of the runs of which any did, by their workflow's id."""
    failed: Counter[str] = Counter()
    for run in runs:
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        failed[run.id] += sum(
            event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
            and event.workflow_task_failed_event_attributes.cause not in _HARMLESS
            for event in (await handle.fetch_history()).events
        )
    return {id: count for id, count in failed.items() if count}


def leaks(world: World) -> list[str]:
    """Files in which a planted secret stands: the processes' logs and what the engine stores."""
    files = [
        *(path for path in world.logs.iterdir() if path.name != "vendor.log"),
        *world.directory.glob("temporal.*"),
        *(path for path in (world.directory / "postgres/pgdata/base").rglob("*") if path.is_file()),
    ]
    return [
        f"{path.name} ({name})"
        for path in files
        for name, secret in world.planted.items()
        if _holds(path, secret.encode())
    ]


def _holds(path: Path, secret: bytes) -> bool:
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(secret) >= 0
