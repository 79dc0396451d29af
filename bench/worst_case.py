"""What the largest event costs wherever it is touched: the table in docs/benchmarks.md.

    python -m bench.worst_case [--rounds 7] [--rules 10]

For each shape of the largest payload that is accepted, the shortest time of each pure part, and of
each request against an API and console with so many rules, in this process. It works on nothing
else meanwhile: no worker runs. The longest wait is that of a task which sleeps for a millisecond at
a time, by the CPU time that this process takes until it goes on: what else the machine does doesn't
count. A workflow task is one activation, replayed from the run's history.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowInstance

from delivery.event import read_event, read_without_payload
from delivery.rule import MatchedRule, RuleMetadata
from delivery.size import LARGEST_PAYLOAD, MOST_VALUES, is_small
from destinations.customerio.simulator import Fault
from destinations.registry import build_messages
from engine.connect import connect
from engine.data_converter import data_converter
from engine.search_attributes import register_search_attributes
from eventlog.export import Exported, Mark
from eventlog.fetch import describe_event, read_run_log
from operations.event_redelivery import redeliver
from process import keep_what_is_loaded
from starter.cli.logs import configure_logs
from starter.dev.postgres import EmbeddedPostgres
from starter.dev.temporal_server import DevServer
from tests.api.caller import Api, Machine
from tests.console.site import Site, open_site, sign_in, token_in
from tests.integration.stack import Stack, open_stack
from tests.replay.record import new_database
from worker import WORKFLOWS, make_interceptors

ID = "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44"
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
        id=ID,
        connection=ID,
        connection_name="",
        integration_type="customer_io",
        metadata=RuleMetadata(action="track_event", on_limit="drop"),
        build=2,
    )
    return {
        "count its values": timed(lambda: is_small(data), rounds),
        "read all but the payload": timed(lambda: read_without_payload(data, **named), rounds),
        "read": timed(lambda: read_event(data, **named), rounds),
        "build, a rule": timed(lambda: build_messages(event, rule), rounds),
    }


def timed(made: Callable[[], object], rounds: int) -> float:
    """Milliseconds, the least."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        made()
        taken.append(time.perf_counter() - started)
    return min(taken) * 1000


class Waits:
    """How long others wait at most, in milliseconds of CPU, while something runs."""

    longest = 0.0

    async def watch(self) -> None:
        while True:
            started = time.process_time()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, (time.process_time() - started) * 1000)


@contextmanager
def watching() -> Any:
    waits = Waits()
    task = asyncio.create_task(waits.watch())
    try:
        yield waits
    finally:
        task.cancel()


class Activations(UnsandboxedWorkflowRunner):
    """Runs workflows as in production; `taken` are the milliseconds of each activation."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    def create_instance(self, det: Any) -> WorkflowInstance:
        instance = super().create_instance(det)
        activate = instance.activate

        def timed_activate(activation: Any) -> Any:
            started = time.perf_counter()
            completion = activate(activation)
            self.taken.append(1000 * (time.perf_counter() - started))
            return completion

        instance.activate = timed_activate  # type: ignore[method-assign, assignment]
        return instance


async def main(rounds: int, rules: int) -> None:
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
                async with opened(client, database) as (stack, site, api):
                    tables[shape] |= await touched(stack, site, api, payload, rounds, rules)
        finally:
            await server.stop()
            await postgres.stop()
    show(tables)


@asynccontextmanager
async def opened(client: Client, database: str) -> AsyncIterator[tuple[Stack, Site, Api]]:
    async with (
        open_stack(client, database, working=False) as stack,
        open_site(stack) as site,
        httpx.AsyncClient(base_url=site.url, timeout=40) as http,
    ):
        key = await stack.catalog.publishable_keys.current(stack.organization, stack.workspace)
        assert key is not None
        machine = Machine(stack.organization, site.access_key, site.secret_key)
        await sign_in(http, site.access_key, site.secret_key)
        keep_what_is_loaded()
        yield stack, site, Api(stack, site.url, http, machine, key.public_key)


async def touched(
    stack: Stack, site: Site, api: Api, payload: dict[str, Any], rounds: int, rules: int
) -> Table:
    connection = await stack.connection()
    for _ in range(rules):
        rule = await stack.rule(connection, on_limit="drop")
    stack.sim.fail("track", fault=Fault(status=400))  # to be redelivered, with all that was sent
    table: Table = {}
    body = json.dumps({"event": "user.signup", "payload": payload}, separators=(",", ":")).encode()
    ids: list[str] = []

    async def accept() -> None:
        ids.append((await api.emit(body)).json()["event"]["id"])

    async def measured(
        name: str, made: Callable[[], Awaitable[httpx.Response | str | None]]
    ) -> None:
        taken = []
        with watching() as waits:
            for _ in range(rounds):
                started = time.perf_counter()
                answer = await made()
                taken.append((time.perf_counter() - started) * 1000)
                assert not isinstance(answer, httpx.Response) or answer.is_success, answer.text
        table[name] = {"ms": min(taken), "others wait": waits.longest}

    await measured("accept", accept)
    async with stack.make_worker():
        for id in ids:
            with contextlib.suppress(WorkflowFailureError):
                await stack.client.get_workflow_handle(id).result()
    one = ids[0]
    for name, activation in (await activations(stack.client, one, rounds)).items():
        table[name] = {"ms": activation}
    await measured("GET /events", lambda: api.get("/events"))
    await measured("GET /events/{id}", lambda: api.get(f"/events/{one}"))
    await measured("GET /events/{id}/payload", lambda: api.get(f"/events/{one}/payload"))
    await measured("export, a line", lambda: exported(stack.client, one))
    trial = json.dumps({"payload": payload}, separators=(",", ":")).encode()
    await measured("preview", lambda: api.call("POST", f"/rules/{rule.id}/preview", content=trial))
    await measured("console: event", lambda: api.http.get(site.at(f"/events/{one}")))
    form = site.at("/rules/new?event=user.signup")
    await measured("console: new rule", lambda: api.http.get(form))
    typed = {
        "csrf": token_in(await api.http.get(form)),
        "event": "user.signup",
        "connection": connection.id,
        "payload": json.dumps(payload),
    }
    previewed = site.at("/rules/new/preview")
    await measured("console: preview", lambda: api.http.post(previewed, data=typed))
    waiting = iter(ids)
    await measured("redeliver", lambda: redeliver(stack.client, next(waiting)))
    return table


async def exported(client: Client, event_id: str) -> str:
    described = await describe_event(client, event_id)
    assert described.close_time is not None
    log = await read_run_log(client, described)
    return Exported(Mark(described.close_time, described.run_id), event_id, log).line()


async def activations(client: Client, event_id: str, rounds: int) -> dict[str, float]:
    """The longest workflow task of a run, and all of them together, as after a lost cache."""
    history = await client.get_workflow_handle(event_id).fetch_history()
    taken = []
    for _ in range(rounds):
        runner = Activations()
        replayer = Replayer(
            workflows=WORKFLOWS,
            data_converter=data_converter(),
            interceptors=make_interceptors(),
            workflow_runner=runner,
        )
        await replayer.replay_workflow(history)
        taken.append(runner.taken)
    return {
        "workflow task, the longest": min(max(one) for one in taken),
        "all workflow tasks": min(sum(one) for one in taken),
    }


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
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rules", type=int, default=10)
    chosen = parser.parse_args()
    asyncio.run(main(chosen.rounds, chosen.rules))
