"""One scenario's events: emitted over HTTP, settled, and gathered into facts for the oracle."""

from __future__ import annotations

import asyncio
import mmap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.service import RPCError

from delivery.log import EventLog, delivery_log
from emitonce import AsyncHTTPEmitter
from emitonce.errors import EmitError
from engine.event_log import EventNotFound, describe_event, fetch_run
from tests.chaos.oracle import Emitted, Facts, Received
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
    """A workspace of its own, with a connection and a rule for each region."""

    world: World
    name: str
    workspace: str
    public_key: str
    emitted: list[Emitted] = field(default_factory=list)
    at: dict[str, float] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)

    async def emit(
        self, count: int, event: str = EVENT, *, tries: int = 4, **about: Any
    ) -> list[Emitted]:
        """`count` events of as many people; `about` is what the oracle is to know of them."""
        first = len(self.emitted)
        slots = asyncio.Semaphore(AT_ONCE)
        async with self._emitter(tries) as emitter:

            async def one(number: int) -> Emitted:
                person = f"{self.name}-{number}"
                self.events[person] = event
                async with slots:
                    self.at[person] = time.monotonic()
                    ids = await self._send(emitter, event, person)
                return Emitted(person, f"key-of-{person}", ids, **about)

            made = await asyncio.gather(*(one(first + number) for number in range(count)))
        self.emitted += made
        return made

    async def emit_again(self) -> None:
        """Everything once more with its key, as a caller does that doesn't trust its memory."""
        async with self._emitter(tries=8) as emitter:
            for place, one in enumerate(self.emitted):
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
        except EmitError:  # the API was away for longer than the caller's patience
            return ()
        return (accepted.id,)

    async def requests(self) -> list[Received]:
        """What the vendor has received of this round."""
        log = [Received.of(entry) for entry in await self.world.asked("requests")]
        return [one for one in log if one.person.startswith(f"{self.name}-")]

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

    async def facts(self) -> Facts:
        logs: dict[str, EventLog] = {}
        failed_tasks: dict[str, int] = {}
        for id in {id for one in self.emitted for id in one.ids}:
            try:
                described = await describe_event(self.world.client, id)
                history, pending = await fetch_run(self.world.client, described)
            except (EventNotFound, RPCError):
                continue
            logs[id] = delivery_log(id, described.run_id, history, pending)
            failed = sum(
                event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
                and event.workflow_task_failed_event_attributes.cause not in _HARMLESS
                for event in history
            )
            if failed:
                failed_tasks[id] = failed
        received = await self.requests()
        return Facts(
            emitted=self.emitted,
            logs=logs,
            runs=await self._runs(),
            received=received,
            stored=await self._stored(),
            open_runs=await self._count("ExecutionStatus = 'Running'"),
            failed_tasks=failed_tasks,
            leaks=leaks(self.world),
            took=self._took(received),
        )

    async def _runs(self) -> list[str]:
        """Lists lag behind; they are given some time to show what was accepted."""
        wanted = {id for one in self.emitted for id in one.ids}

        async def listed() -> list[str]:
            return [run.id async for run in self.world.client.list_workflows(self._query)]

        for _ in range(50):
            found = await listed()
            if wanted <= set(found) and not await self._count("ExecutionStatus = 'Running'"):
                break
            await asyncio.sleep(0.2)
        return await listed()

    @property
    def _query(self) -> str:
        return f"WorkflowType = 'DeliverEvent' AND EmitonceWorkspace = '{self.workspace}'"

    async def _count(self, condition: str) -> int:
        counted = await self.world.client.count_workflows(f"{self._query} AND {condition}")
        return int(counted.count)

    async def _stored(self) -> list[str]:
        events = await self.world.asked("events")
        names = {
            (one["region"], one["cio_id"]): str(one["id"])
            for one in await self.world.asked("people")
        }
        people = [names.get((event["region"], event["person"]), "") for event in events]
        return [person for person in people if person.startswith(f"{self.name}-")]

    def _took(self, received: list[Received]) -> list[float]:
        """Both clocks are the machine's monotonic one."""
        done = {
            one.person: one.answered
            for one in received
            if one.call == "track" and one.accepted and one.answered
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
        organisation = (await catalog.organisations.default()).id
        workspace = (await catalog.workspaces.create(organisation, name=name)).id
        for region, event in (("us", EVENT), ("eu", "healthy.event")):
            connection = await catalog.connections.create(
                organisation,
                workspace=workspace,
                name=f"Customer io {region}",
                region=region,
                api_key=SecretStr(world.planted["api key"]),
                created_by="chaos",
            )
            await catalog.rules.create(
                organisation,
                workspace=workspace,
                connection=connection.id,
                event=event,
                metadata={"action": "track_event"},
                created_by="chaos",
            )
        key = await catalog.publishable_keys.create(
            organisation, workspace=workspace, name=name, created_by="chaos"
        )
    if world.api is None or not world.api.alive:
        await world.start_api()
    try:
        yield Round(world, name, workspace, key.public_key)
    finally:
        await world.end_workers()


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
