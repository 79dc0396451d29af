"""A herd: many events wait for a vendor that is unavailable for long, and then comes back.

    python -m bench.herd [--events 5000] [--away 600]

Meanwhile, events go to another connection: one a second of another name, and one a second of the
herd's. Writes `bench/results/herd.json`, one entry for each size; `bench.report` plots the largest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.facts import commit, machine
from bench.lane import Lane
from bench.lanes import ours
from bench.measure import StandIn, percentiles, settle
from bench.processes import Process, python, tree_bytes
from bench.reads import open_reader, read_all
from bench.workload import Workload, payload
from catalog.rule_change import RuleChange
from emitonce import Emitter
from engine.connect import connect
from key_provider import load_secrets
from process import open_catalog
from settings import Settings
from starter.dev.temporal_server import free_port

RESULTS = Path(__file__).parent / "results" / "herd.json"
PER_SECOND = 1.0  # of each name, to the other connection
QUIET_SECONDS = 30.0
LOOK_SECONDS = 5.0
# How long nothing may arrive before the rest counts as lost.
DRAIN_SECONDS = 180.0
AWAY = Workload("herd", 0, fail_503=1)
BACK = Workload("herd", 0)


@dataclass(frozen=True)
class Trickle:
    """Events for the other connection, and when each was emitted, by its person."""

    event: str
    resource: str
    emitted: dict[str, int] = field(default_factory=dict)


@dataclass
class Herd:
    """What was seen. Each look: seconds, tries, events delivered, bytes of engine and worker."""

    lane: Lane
    vendor: StandIn
    began: float = field(default_factory=time.monotonic)
    tries: int = 0
    looks: list[dict[str, float]] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)

    def now(self) -> float:
        return round(time.monotonic() - self.began, 1)

    async def look(self) -> int:
        """Note how things stand; how many events have been delivered."""
        delivered = await asyncio.to_thread(self.vendor.tracked)
        tries = await asyncio.to_thread(self.vendor.requests)
        self.looks.append(
            {
                "at": self.now(),
                "tries": self.tries + tries,
                "delivered": delivered,
                "engine": sum(process.cost().rss for process in self.lane.engine),
                "worker": sum(process.cost().rss for process in self.lane.workers),
            }
        )
        return delivered

    async def watch(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def drained(self, events: int) -> int:
        """Wait until all are delivered, or nothing has been for long; how many were."""
        delivered, deadline = -1, time.monotonic() + DRAIN_SECONDS
        while (found := await self.look()) < events and time.monotonic() < deadline:
            if found > delivered:
                delivered, deadline = found, time.monotonic() + DRAIN_SECONDS
            await asyncio.sleep(1)
        return found


async def measure(events: int, away: float) -> dict[str, Any]:
    directory = Path(tempfile.mkdtemp(prefix="bench-herd-"))
    with _stand_in() as vendor, _stand_in() as other:
        lane = await asyncio.to_thread(
            ours.start, directory, f"{vendor.url}/v1", vendor_eu=f"{other.url}/v1"
        )
        try:
            return await _measure(Herd(lane, vendor), other, directory, events, away)
        finally:
            await asyncio.to_thread(lane.stop)
            shutil.rmtree(directory, ignore_errors=True)


async def _measure(
    herd: Herd, other: StandIn, directory: Path, events: int, away: float
) -> dict[str, Any]:
    os.environ.update(herd.lane.target["env"])
    workspace = herd.lane.target["workspace"]
    another_name, same_name = Trickle("other.event", "global"), Trickle(ours.EVENT, "other")
    await _add_the_other(workspace, another_name, same_name)
    async with ours.accepting(herd.lane.target) as accept:
        beside = [
            asyncio.create_task(_emit(workspace, trickle)) for trickle in (another_name, same_name)
        ]
        herd.vendor.reset(AWAY, seed=1)
        await herd.watch(QUIET_SECONDS)
        herd.stages["accepting"] = herd.now()
        slots = asyncio.Semaphore(64)

        async def one(number: int) -> None:
            async with slots:
                await accept(number, payload("herd", number))

        looking = asyncio.create_task(herd.watch(float("inf")))
        await asyncio.gather(*(one(number) for number in range(events)))
        herd.stages["waiting"] = herd.now()
        reads = await asyncio.to_thread(_read, herd.lane, events)
        await asyncio.sleep(max(0.0, herd.stages["accepting"] + away - herd.now()))
        looking.cancel()
        herd.tries = await asyncio.to_thread(herd.vendor.requests)
        herd.vendor.reset(BACK, seed=1)
        herd.stages["draining"] = herd.now()
        delivered = await herd.drained(events)
        herd.stages["drained"] = herd.now()
        for task in beside:
            task.cancel()
    await asyncio.to_thread(settle, herd.lane.processes())
    took = herd.stages["drained"] - herd.stages["draining"]
    return {
        "machine": machine(),
        "commit": commit(),
        "events": events,
        "away_seconds": away,
        "lost": events - delivered,
        "completed": await _completed(herd.lane),
        "tries_while_away": herd.tries,
        "drain_seconds": round(took, 1),
        "drained_per_second": round(events / took, 1),
        "engine_mb": _most(herd.looks, "engine"),
        "worker_mb": _most(herd.looks, "worker"),
        "stored_mb": round(sum(map(tree_bytes, herd.lane.stored)) / 1e6, 1),
        "stages": herd.stages,
        "beside_ms": _beside(herd, another_name, other),
        "beside_same_name_ms": _beside(herd, same_name, other),
        "reads_ms": reads,
        "looks": herd.looks,
    }


def _read(lane: Lane, events: int) -> dict[str, float]:
    """Milliseconds to read the list, a log and pages while all wait."""
    with open_reader(lane) as reader:
        more = read_all(reader, "herd", events).more
    return {name: took for name, took in more.items() if "tabs" not in name}


def _most(looks: list[dict[str, float]], role: str) -> float:
    return round(max(look[role] for look in looks) / 1e6, 1)


async def _add_the_other(workspace: str, *trickles: Trickle) -> None:
    """Add the other connection and its rules; the herd's rule no longer matches any resource."""
    settings = Settings()
    async with open_catalog(settings, load_secrets(settings)) as catalog:
        organization = (await catalog.organizations.default()).id
        connection = await catalog.connections.create(
            organization,
            workspace=workspace,
            name="Other",
            type="customer_io",
            fields={"region": "eu", "cdpApiKey": "bench-key"},
            created_by="bench",
        )
        rules = await catalog.rules.list(organization, workspace=workspace, event=ours.EVENT)
        for rule in rules.records:
            await catalog.rules.update(organization, rule.id, RuleChange(resource="global"))
        for trickle in trickles:
            await catalog.rules.create(
                organization,
                workspace=workspace,
                connection=connection.id,
                event=trickle.event,
                resource=trickle.resource,
                metadata={"action": "track_event", "event_name_override": "Other"},
                created_by="bench",
            )


async def _emit(workspace: str, trickle: Trickle) -> None:
    """Emit at a steady rate, whatever becomes of the ones before."""
    emitter = await Emitter.connect()
    under_way = set()
    for number in range(1_000_000):
        fields = payload(trickle.event, number)
        trickle.emitted[fields["userId"]] = time.time_ns()
        task = asyncio.create_task(
            emitter.emit(trickle.event, fields, workspace=workspace, resource=trickle.resource)
        )
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        await asyncio.sleep(1 / PER_SECOND)


def _beside(herd: Herd, trickle: Trickle, other: StandIn) -> dict[str, dict[str, float]]:
    """From emit to the track call's arrival at the other connection, by the stage of the herd."""
    arrived = {user: at for call, user, at, _ in other.seen() if call == "track"}
    began = time.time_ns() - (time.monotonic() - herd.began) * 1e9
    names = ["quiet", *herd.stages][:-1]
    ends = list(herd.stages.values())
    found: dict[str, list[float]] = {name: [] for name in names}
    for person, at in trickle.emitted.items():
        second = (at - began) / 1e9
        stage = next((n for n, end in zip(names, ends, strict=True) if second < end), None)
        if stage is not None and person in arrived:
            found[stage].append((arrived[person] - at) / 1e6)
    return {
        name: {"events": len(taken), **{k: round(v, 1) for k, v in percentiles(taken).items()}}
        for name, taken in found.items()
        if len(taken) > 1
    }


async def _completed(lane: Lane) -> int:
    client = await connect(lane.target["env"]["TEMPORAL_ADDRESS"])
    query = "WorkflowType = 'DeliverEvent' AND ExecutionStatus = 'Completed'"
    return (await client.count_workflows(query)).count


@contextmanager
def _stand_in() -> Iterator[StandIn]:
    port = free_port()
    process = Process.start("vendor", python("bench.stand_in", str(port)))
    try:
        yield StandIn(process, f"http://127.0.0.1:{port}")
    finally:
        process.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--away", type=float, default=600, help="seconds")
    asked = parser.parse_args()
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    stored[str(asked.events)] = found = asyncio.run(measure(asked.events, asked.away))
    RESULTS.write_text(json.dumps(stored, indent=1) + "\n")
    print(json.dumps({name: told for name, told in found.items() if name != "looks"}, indent=1))
