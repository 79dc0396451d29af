"""A restore drill: catalog and Temporal come back from two different moments."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from delivery.result import Status
from destinations.customerio.simulator import Fault
from emitonce import AsyncHTTPEmitter
from eventlog.fetch import EventNotFound, read_event_log
from eventlog.log import EventLog
from tests.chaos.oracle import Received
from tests.chaos.world import World, open_world, until
from tests.upgrade.kinds import Kind
from tests.upgrade.management import Management
from tests.upgrade.vendor import Vendor

# Real servers are stopped, copied and started again; on a loaded machine that takes its time.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
WHEN = datetime(2026, 11, 26, 12, tzinfo=UTC)


@dataclass
class Drill:
    world: World
    vendor: Vendor
    management: Management
    ids: dict[str, str] = field(default_factory=dict)

    async def emit(self, person: str, event: str, **fields: Any) -> str:
        """With its key, like a backend that says everything again; returns the event's id."""
        async with AsyncHTTPEmitter(
            self.world.api_url, publishable_key=self.management.public_key, tries=10
        ) as emitter:
            accepted = await emitter.emit(
                event, {"userId": person}, idempotency_key=f"key-of-{person}", **fields
            )
        assert self.ids.setdefault(person, accepted.id) == accepted.id
        return accepted.id

    async def deliver(self, person: str, **fields: Any) -> None:
        await self.emit(person, Kind.STEADY, **fields)
        await self.until_it_is(person, Status.COMPLETED)

    async def until_it_is(self, person: str, status: Status) -> EventLog:
        log: EventLog | None = None

        async def so() -> bool:
            nonlocal log
            log = await read_event_log(self.world.client, self.ids[person])
            return log.status is status

        await until(so, within=90, what=f"{person} {status}")
        assert log is not None
        return log

    async def until_held(self, person: str) -> None:
        async def held() -> bool:
            log = await read_event_log(self.world.client, self.ids[person])
            return any(delivery.held for delivery in log.deliveries)

        await until(held, within=90, what=f"{person} held")

    async def received(self, person: str) -> list[Received]:
        requests = map(Received.of, await self.world.asked("requests"))
        return [one for one in requests if one.person == person]

    async def stored(self, person: str) -> int:
        """How many events of theirs Customer.io has, each by an id of its own."""
        tracks = {one.message_id for one in await self.received(person) if one.call == "track"}
        stored = Counter(one["message_id"] for one in await self.world.asked("events"))
        return sum(stored[id] for id in tracks)

    async def back_up(self, name: str) -> None:
        """Both databases, at rest, as files."""
        await self._stop()
        directory = self.world.directory / name
        directory.mkdir()
        await _copy(self._temporal(self.world.directory), directory)
        await _copy([self.world.directory / "postgres"], directory)
        await self._start()

    async def restore(self, *, temporal: str, catalog: str) -> None:
        await self._stop()
        here = self.world.directory
        for path in self._temporal(here):
            path.unlink()
        await _run("rm", "-r", str(here / "postgres"))
        await _copy(self._temporal(here / temporal), here)
        await _copy([here / catalog / "postgres"], here)
        await self._start()

    async def _stop(self) -> None:
        for child in (*self.world.workers, self.world.api):
            if child is not None:
                await child.terminate()
        self.world.workers.clear()
        await self.world.server.stop()
        await self.world.postgres.stop()

    async def _start(self) -> None:
        await self.world.start_postgres()
        await self.world.start_server()
        await self.world.start_api()
        await self.world.worker()

    @staticmethod
    def _temporal(directory: Path) -> list[Path]:
        return sorted(directory.glob("temporal.db*"))


async def _copy(paths: list[Path], into: Path) -> None:
    """With owners and modes, which PostgreSQL insists on."""
    await _run("cp", "-a", *map(str, paths), str(into))


async def _run(*command: str) -> None:
    await asyncio.to_thread(subprocess.run, command, check=True)


@pytest_asyncio.fixture
async def drill() -> AsyncIterator[Drill]:
    with tempfile.TemporaryDirectory(prefix="emitonce-drill-", ignore_cleanup_errors=True) as path:
        async with open_world(Path(path), Random(1)) as world:
            vendor = Vendor(world)
            await vendor.open()
            await world.start_api()
            await world.worker()
            yield Drill(world, vendor, await Management.set_up(world, vendor))


async def test_engine_from_before_the_catalog(drill: Drill) -> None:
    """What was accepted since is unknown; who emits it again with key and time doubles nothing."""
    await drill.deliver("before", timestamp=WHEN)
    await drill.world.misbehave(Fault(status=503, headers={"Retry-After": "1"}))
    await drill.emit("under way", Kind.STEADY)
    await drill.until_it_is("under way", Status.RETRYING)
    await drill.back_up("first")
    await drill.world.behave()
    await drill.until_it_is("under way", Status.COMPLETED)
    await drill.deliver("dated", timestamp=WHEN)
    await drill.deliver("undated")
    await drill.back_up("second")

    await drill.restore(temporal="first", catalog="second")
    for lost in ("dated", "undated"):
        with pytest.raises(EventNotFound):
            await read_event_log(drill.world.client, drill.ids[lost])
    await drill.until_it_is("under way", Status.COMPLETED)
    await drill.deliver("before", timestamp=WHEN)
    await drill.deliver("dated", timestamp=WHEN)
    await drill.deliver("undated")
    assert len(await drill.received("before")) == 2
    for person in ("under way", "dated"):
        tracks = [one for one in await drill.received(person) if one.call == "track"]
        assert len(tracks) == 2
        assert len({one.raw for one in tracks}) == 1
    stored = {person: await drill.stored(person) for person in drill.ids}
    assert stored == {"before": 1, "under way": 1, "dated": 1, "undated": 2}


async def test_catalog_from_before_the_engine(drill: Drill) -> None:
    """A key replaced since is the former one again; what was made since is gone."""
    world, management = drill.world, drill.management
    made = await world.command("keys", "create", "machine", "--name", "leaked", "--json")
    assert made.code == 0, made.err
    await drill.back_up("first")

    keys = json.loads((await world.command("keys", "list", "--json")).out)["records"]
    [leaked] = [key for key in keys if key["name"] == "leaked"]
    assert (await world.command("keys", "revoke", leaked["id"])).code == 0
    await management.replace_key(Kind.STEADY, await drill.vendor.new_key(Kind.STEADY))
    await management.connect("made since", drill.vendor.key(Kind.BETWEEN))
    await world.misbehave(Fault(status=503, headers={"Retry-After": "5"}))
    for person, event in (("waiting", Kind.STEADY), ("orphan", "made since")):
        await drill.emit(person, event)
        await drill.until_it_is(person, Status.RETRYING)
    await drill.back_up("second")

    await drill.restore(temporal="second", catalog="first")
    await world.behave()
    orphan = await drill.until_it_is("orphan", Status.FAILED)
    assert "the connection was deleted" in (orphan.deliveries[0].last_error or "")
    await drill.until_held("waiting")
    assert await drill.stored("waiting") == 0
    await management.replace_key(Kind.STEADY, drill.vendor.key(Kind.STEADY))
    await drill.until_it_is("waiting", Status.COMPLETED)
    assert await drill.stored("waiting") == 1
    keys = json.loads((await world.command("keys", "list", "--json")).out)["records"]
    [leaked] = [key for key in keys if key["name"] == "leaked"]
    assert leaked["revoked_at"] is None
