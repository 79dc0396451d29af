"""What the largest event costs wherever it is touched: the table in docs/benchmarks.md.

    python -m bench.worst_case [--rounds 3]

For each shape of the largest payload that is accepted, the median time of each pure part, and of
each request against an API with ten rules, all of them in this process. The longest wait is that
of a task which sleeps for a millisecond at a time meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalog.embedded import EmbeddedPostgres
from delivery.build_messages import build_messages
from delivery.errors import MappingError
from delivery.event import read_event, read_without_payload
from delivery.rule import MatchedRule, RuleMetadata
from delivery.size import LARGEST_PAYLOAD, MOST_VALUES, is_small
from engine.connect import connect
from engine.dev_server import DevServer
from engine.event_log import read_event_log
from engine.redelivery import redeliver
from engine.search_attributes import register_search_attributes
from starter.logs import configure_logs
from tests.api.caller import open_api
from tests.integration.stack import open_stack
from tests.replay.record import new_database

ID = "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44"
RULES = 10
USER = {"userId": "usr_2048"}

Table = dict[str, dict[str, float]]


def shapes() -> dict[str, dict[str, Any]]:
    text = "x" * (LARGEST_PAYLOAD // MOST_VALUES - 12)
    return {
        "keys": USER | {f"k{n}": text for n in range(MOST_VALUES - 2)},
        "lists": USER | {"a": [[]] * (MOST_VALUES - 3)},
        "traits": USER | {f"k{n}": ["x" * 20] * 39 for n in range(245)},
        "text": USER | {"a": "x" * (LARGEST_PAYLOAD - 100)},
    }


def pure(payload: dict[str, Any], rounds: int) -> dict[str, float]:
    fields = {"workspace": ID, "event": "user.signup", "payload": payload}
    data = json.dumps(fields, separators=(",", ":")).encode()
    named: dict[str, Any] = {"event_id": ID, "started_at": datetime.now(UTC)}
    event = read_event(data, **named)
    rule = MatchedRule(
        id=ID, connection=ID, connection_name="", metadata=RuleMetadata(on_limit="drop"), build=2
    )

    def build() -> None:
        with contextlib.suppress(MappingError):
            build_messages(event, rule)

    return {
        "count its values": timed(lambda: is_small(data), rounds),
        "read all but the payload": timed(lambda: read_without_payload(data, **named), rounds),
        "read": timed(lambda: read_event(data, **named), rounds),
        "build, a rule": timed(build, rounds),
    }


def timed(made: Callable[[], object], rounds: int) -> float:
    """Milliseconds, the median."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        made()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1000


class Waits:
    """How long others wait at most, in milliseconds, while something runs."""

    longest = 0.0

    async def watch(self) -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, (time.perf_counter() - started) * 1000 - 1)


@contextmanager
def watching() -> Any:
    waits = Waits()
    task = asyncio.create_task(waits.watch())
    try:
        yield waits
    finally:
        task.cancel()


async def main(rounds: int) -> None:
    configure_logs()
    tables: dict[str, Table] = {}
    with tempfile.TemporaryDirectory(prefix="emitonce-bench-") as folder:
        postgres = await EmbeddedPostgres.start(Path(folder) / "postgres", durable=False)
        server = await DevServer.start(Path(folder), in_memory=True, ui=False)
        try:
            client = await connect(server.address)
            await register_search_attributes(client)
            for shape, payload in shapes().items():
                tables[shape] = {name: {"ms": took} for name, took in pure(payload, rounds).items()}
                database = await new_database(postgres.dsn, f"worst_{shape}")
                async with open_stack(client, database) as stack, open_api(stack) as api:
                    tables[shape] |= await requests(stack, api, payload, rounds)
        finally:
            await server.stop()
            await postgres.stop()
    show(tables)


async def requests(stack: Any, api: Any, payload: dict[str, Any], rounds: int) -> Table:
    connection = await stack.connection()
    for _ in range(RULES):
        rule = await stack.rule(connection)  # none can be built, so all fail and none is sent
    table: Table = {}
    body = json.dumps({"event": "user.signup", "payload": payload}, separators=(",", ":")).encode()
    ids: list[str] = []

    async def accept() -> None:
        ids.append((await api.emit(body)).json()["event"]["id"])

    async def measured(name: str, made: Callable[[], Awaitable[object]]) -> None:
        taken = []
        with watching() as waits:
            for _ in range(rounds):
                started = time.perf_counter()
                await made()
                taken.append((time.perf_counter() - started) * 1000)
        table[name] = {"ms": statistics.median(taken), "others wait": waits.longest}

    await measured("accept", accept)
    for id in ids:
        await api.ended(id)
    await measured("GET /events/{id}", lambda: api.get(f"/events/{ids[0]}"))
    await measured("GET /events/{id}/payload", lambda: api.get(f"/events/{ids[0]}/payload"))
    await measured("GET /events", lambda: api.get("/events"))
    await measured("read its log", lambda: read_event_log(stack.client, ids[0]))
    trial = json.dumps({"payload": payload}, separators=(",", ":")).encode()
    await measured("preview", lambda: api.call("POST", f"/rules/{rule.id}/preview", content=trial))
    waiting = iter(ids)
    await measured("redeliver", lambda: redeliver(stack.client, next(waiting)))
    return table


def show(tables: dict[str, Table]) -> None:
    print("| what | " + " | ".join(f"{shape}: ms (others wait)" for shape in tables) + " |")
    print("| --- |" + " --- |" * len(tables))
    for what in next(iter(tables.values())):
        cells = []
        for table in tables.values():
            one = table[what]
            waits = f" ({one['others wait']:.0f})" if "others wait" in one else ""
            cells.append(f"{one['ms']:.1f}{waits}")
        print(f"| {what} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    asyncio.run(main(parser.parse_args().rounds))
