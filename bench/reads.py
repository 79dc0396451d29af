"""Reading: the log of an event, lists, counts and the console's pages, by how much is stored.

Real events are delivered first. What stands for many more are copies of their rows in the engine's
index of runs, spread over the day before: lists and counts read nothing else, and a log is read by
its event's id.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt

from bench.lane import Lane
from bench.lanes import ours
from bench.measure import Sample, StandIn, percentiles, settle
from bench.processes import Process, python
from bench.workload import Workload, payload
from key_provider import load_secrets
from process import open_catalog
from settings import Settings

STORED = (1, 1_000, 10_000, 100_000)
REAL = 1_000
# As many of each, or fewer if that takes too long.
ROUNDS, FEWEST, LONGEST_SECONDS = 40, 5, 8.0
# Between two requests: an engine lists so many times a second, and then makes callers wait.
PAUSE_SECONDS = 0.1
TABS = 10
WATCHED_SECONDS = 15.0
# How often an open page of the console asks for its parts.
ROWS_SECONDS, CHARTS_SECONDS = 3.0, 20.0
# A vendor so slow that what is accepted stays under way.
SLOW_MS = 9_000


@dataclass
class Reader:
    """Reads from an API process of its own, and from its console, where it is signed in."""

    lane: Lane
    api: Process
    http: httpx.Client
    machine: dict[str, str]

    def at(self, path: str) -> str:
        return f"/w/{self.lane.target['workspace']}{path}"

    def headers(self) -> dict[str, str]:
        now = int(time.time())
        key = self.machine["access"]
        claims = {
            "iss": f"urn:meshes:m2m:{key}",
            "aud": "meshes-api",
            "org": self.machine["organization"],
            "iat": now,
            "exp": now + 30,
        }
        token = jwt.encode(claims, self.machine["secret"], "HS256", headers={"kid": key})
        return {"Authorization": f"Bearer {token}"}

    def paths(self, event: str) -> dict[str, str]:
        return {
            "log": f"/api/v1/events/{event}",
            "list": "/api/v1/events",
            "list of a person": f"/api/v1/workspaces/{self.lane.target['workspace']}/events"
            f"?person={payload('reads', 0)['userId']}",
            "console: events": self.at("/events"),
            "console: rows": self.at("/events/rows"),
            "console: counts and charts": self.at("/events/charts"),
            "console: one event": self.at(f"/events/{event}"),
        }


def reads(vendor: StandIn, stored: tuple[int, ...]) -> Iterator[Sample]:
    """One sample for each number of stored events, and one with as many real ones under way."""
    real = min(REAL, stored[-1])
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    lane = ours.start(directory, f"{vendor.url}/v1")
    try:
        vendor.reset(Workload("reads", 0), seed=1)
        with open_reader(lane) as reader:
            there = 0
            for many in stored:
                if there < real:
                    asyncio.run(_emit(lane, there, min(many, real)))
                    until(lambda many=many: vendor.tracked() >= min(many, real))
                if many > real:
                    _copy(directory / "temporal.db", many - max(there, real))
                there = many
                settle(lane.processes())
                yield read_all(reader, f"reads-{many}", many)
            vendor.reset(Workload("reads", 0, latency_ms=SLOW_MS), seed=1)
            asyncio.run(_emit(lane, real, 2 * real))
            yield read_all(reader, "reads-under-way", real)
    finally:
        for worker in lane.workers:
            worker.kill()
        lane.stop()
        shutil.rmtree(directory, ignore_errors=True)


async def _emit(lane: Lane, first: int, end: int) -> None:
    slots = asyncio.Semaphore(64)
    async with ours.accepting(lane.target) as accept:

        async def one(number: int) -> None:
            async with slots:
                await accept(number, payload("reads", number))

        await asyncio.gather(*(one(number) for number in range(first, end)))


def until(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("events are still under way")
        time.sleep(0.25)


def _copy(database: Path, count: int) -> None:
    """Rows of ended runs once more, each under an id of its own, spread over a day backwards."""
    with sqlite3.connect(database, timeout=60) as db:
        db.row_factory = sqlite3.Row
        found = db.execute(
            "SELECT * FROM executions_visibility WHERE workflow_type_name = 'DeliverEvent' "
            "AND close_time IS NOT NULL LIMIT ?",
            (REAL,),
        ).fetchall()
        generated = {
            column["name"]
            for column in db.execute("PRAGMA table_xinfo(executions_visibility)")
            if column["hidden"]
        }
        names = [name for name in found[0].keys() if name not in generated]  # noqa: SIM118
        places = ", ".join("?" for _ in names)
        db.executemany(
            f"INSERT INTO executions_visibility ({', '.join(names)}) VALUES ({places})",
            (
                _earlier(dict(found[number % len(found)]), names, number / count)
                for number in range(1, count + 1)
            ),
        )
    db.close()


_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?")


def _earlier(row: dict[str, object], names: list[str], days: float) -> list[object]:
    def shifted(text: re.Match[str]) -> str:
        at = datetime.fromisoformat(text[0][:26]) - timedelta(days=days)
        return at.isoformat(text[0][10], "milliseconds")

    for name in ("start_time", "execution_time", "close_time", "search_attributes"):
        row[name] = _TIME.sub(shifted, str(row[name]))
    row["workflow_id"] = row["root_workflow_id"] = str(uuid.uuid4())
    row["run_id"] = row["root_run_id"] = str(uuid.uuid4())
    return [row[name] for name in names]


@contextmanager
def open_reader(lane: Lane) -> Iterator[Reader]:
    env = lane.target["env"]
    command = python("starter.cli.main", "api", "--json", "--port", "0")
    api = Process.start("api", command, env=env)
    try:
        machine = asyncio.run(_machine())
        with httpx.Client(base_url=api.ready["http"], timeout=30) as http:
            form = http.get("/sign-in").text
            token = re.search(r'name="csrf" value="([^"]+)"', form)
            assert token is not None
            typed = {"access_key": machine["access"], "secret_key": machine["secret"]}
            http.post("/sign-in", data={**typed, "csrf": token[1]})
            yield Reader(lane, api, http, machine)
    finally:
        api.stop()


async def _machine() -> dict[str, str]:
    settings = Settings()
    async with open_catalog(settings, load_secrets(settings)) as catalog:
        organization = (await catalog.organizations.default()).id
        made = await catalog.machine_keys.create(organization, name="Bench", created_by="bench")
    return {
        "organization": organization,
        "access": made.key.access_key,
        "secret": made.secret_key.get_secret_value(),
    }


def read_all(reader: Reader, workload: str, count: int) -> Sample:
    more: dict[str, float] = {}
    listed = reader.http.get("/api/v1/events", headers=reader.headers()).raise_for_status().json()
    for name, path in reader.paths(listed["records"][0]["id"]).items():
        taken = []
        ends = time.monotonic() + LONGEST_SECONDS
        while len(taken) < FEWEST or (len(taken) < ROUNDS and time.monotonic() < ends):
            time.sleep(PAUSE_SECONDS)
            headers = reader.headers() if path.startswith("/api") else None
            # A range of its own each time, since pages that show the same list share it.
            yesterday = datetime.now(UTC) - timedelta(days=1, minutes=5)
            own = path.endswith(("/rows", "/charts"))
            params = {"from": yesterday.isoformat()} if own else None
            began = time.perf_counter()
            reader.http.get(path, headers=headers, params=params).raise_for_status()
            taken.append((time.perf_counter() - began) * 1000)
        found = percentiles(taken)
        more |= {f"{name} {rank}": round(found[rank], 2) for rank in ("p50", "p99")}
    return Sample("ours", workload, count, more=more | _watched(reader))


def _watched(reader: Reader) -> dict[str, float]:
    """What open tabs of the list of events cost, as shares of a core."""
    processes = [reader.api, *reader.lane.engine]
    before = [process.cost().cpu for process in processes]
    began = time.monotonic()
    asked = asyncio.run(_tabs(reader, WATCHED_SECONDS))
    seconds = time.monotonic() - began
    used = [
        process.cost().cpu - earlier for process, earlier in zip(processes, before, strict=True)
    ]
    return {
        "tabs": float(TABS),
        "tabs: requests a second": round(asked / seconds, 2),
        "tabs: share of a core, API": round(used[0] / seconds, 4),
        "tabs: share of a core, engine": round(sum(used[1:]) / seconds, 4),
    }


async def _tabs(reader: Reader, seconds: float) -> int:
    """Open pages, each begun at another moment; how often they asked."""
    cookies = dict(reader.http.cookies)
    async with httpx.AsyncClient(
        base_url=reader.http.base_url, cookies=cookies, timeout=30
    ) as http:

        async def ask(path: str, first: float, every: float) -> int:
            asked, at = 0, first
            while at < seconds:
                await asyncio.sleep(max(0.0, began + at - time.monotonic()))
                (await http.get(path)).raise_for_status()
                asked, at = asked + 1, at + every
            return asked

        began = time.monotonic()
        asked = await asyncio.gather(
            *(
                ask(reader.at(path), every * (tab + 0.5) / TABS, every)
                for tab in range(TABS)
                for path, every in (
                    ("/events/rows", ROWS_SECONDS),
                    ("/events/charts", CHARTS_SECONDS),
                )
            )
        )
    return sum(asked)
