"""What operating deliveries costs and keeps: the figures of docs/operations.md.

    python -m bench.operations [--only isolation,rate,burst,resume,redelivery] [--quick]

Starts a Temporal server in memory, an embedded PostgreSQL, a simulator of Customer.io, and workers
as processes of their own. Prints each figure; writes `bench/results/operations.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from temporalio.client import Client

from bench.facts import commit, machine
from destinations.customerio.simulator import EU_KEY, Fault
from engine.connect import connect
from engine.search_attributes import register_search_attributes
from operations.bulk_redelivery import plan_redelivery, start_redelivery, watch_redelivery
from operations.steering import resume_connection
from process import migrate_database
from starter.dev.postgres import EmbeddedPostgres
from starter.dev.temporal_server import DevServer
from tests.integration.stack import SAMPLE, Stack, open_stack
from tests.operations.many import all_ended, emit_many, of_the_last_hour, visible
from tests.operations.processes import worker_processes

RESULTS = Path(__file__).parent / "results" / "operations.json"
HELD = "EmitonceState = 'held'"

Figures = dict[str, Any]
Measured = Callable[[Stack, bool], Awaitable[Figures]]


async def isolation(stack: Stack, quick: bool) -> Figures:
    """A steady trickle to one connection, with and without many events waiting for another."""
    waiting = 200 if quick else 1_000
    seconds = 10.0 if quick else 30.0
    await stack.rule(await stack.connection("Dead"), "dead.event")
    eu = await stack.connection("Quick", api_key=EU_KEY, region="eu")
    await stack.rule(eu, "quick.event")
    figures: Figures = {"waiting": waiting, "events_per_second": PER_SECOND}
    async with worker_processes(stack, 1):
        await trickle(stack, "warm-up", 5)
        figures["quiet"] = await trickle(stack, "quiet", seconds)
        for name, fault in (
            ("answers after 10 s", Fault(delay=10)),
            ("never", Fault(kind="stall")),
        ):
            stack.sim.fail(fault=fault, region="us")
            dead = await emit_many(stack, (f"{name}-{n}" for n in range(waiting)), "dead.event")
            figures[f"{name}, coming in"] = await trickle(stack, f"{name} at once", seconds)
            await asyncio.sleep(5 if quick else 20)
            figures[name] = await trickle(stack, name, seconds)
            figures[name]["ratio"] = round(figures[name]["p95"] / figures["quiet"]["p95"], 2)
            for handle in dead.values():
                await stack.client.get_workflow_handle(handle.id).terminate()
            stack.sim.clear_faults()
    return figures


PER_SECOND = 4.0


async def trickle(stack: Stack, name: str, seconds: float) -> dict[str, float]:
    """Milliseconds from emit to the track call's arrival, at a steady rate."""
    emitted: dict[str, float] = {}

    async def one(number: int) -> None:
        person = f"{name}-{number}"
        await asyncio.sleep(number / PER_SECOND)
        emitted[person] = time.monotonic()
        await stack.emit("quick.event", {**SAMPLE, "userId": person})

    count = int(seconds * PER_SECOND)
    await asyncio.gather(*(one(number) for number in range(count)))

    def arrivals() -> dict[str, float]:
        return {
            str(request.body.get("userId")): request.received
            for request in stack.sim.requests
            if request.call == "track" and request.body.get("userId") in emitted
        }

    await stack.sim.until(lambda: len(arrivals()) == count, timeout=120)
    took = [(at - emitted[person]) * 1000 for person, at in arrivals().items()]
    deciles = statistics.quantiles(took, n=20)
    return {"p50": round(statistics.median(took), 1), "p95": round(deciles[-1], 1)}


async def rate(stack: Stack, quick: bool) -> Figures:
    """The most requests in any 3 s, with two workers and a rate that both could pass."""
    per_second, events = 20, 60 if quick else 200
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.catalog.connections.update(
        stack.organization, connection.id, requests_per_second=per_second
    )
    handles = await emit_many(stack, (f"person-{number}" for number in range(events)))
    async with worker_processes(stack, 2):
        await all_ended(stack, handles.values(), within=300)
    times = sorted(request.received for request in stack.sim.requests)
    most = max(bisect_left(times, start + 3) - nth for nth, start in enumerate(times))
    return {
        "requests_per_second": per_second,
        "workers": 2,
        "requests": len(times),
        "most_in_3_s": most,
        "limit_in_3_s": round(3 * per_second / 0.9, 1),
        "used": round(len(times) / (times[-1] - times[0]) / per_second, 2),
    }


async def burst(stack: Stack, quick: bool) -> Figures:
    """How many tries of a burst to one connection had to come again, by latency and slots."""
    events = 100 if quick else 300
    await stack.rule()
    figures: Figures = {"events": events}
    for slots in (100, 500):
        async with worker_processes(stack, 1, EMITONCE_MAX_ACTIVITIES=str(slots)):
            for milliseconds in (5, 200):
                name = f"{slots} slots, {milliseconds} ms"
                stack.sim.clear_faults()
                stack.sim.fail(fault=Fault(delay=milliseconds / 1000))
                started = time.monotonic()
                handles = await emit_many(stack, (f"{name}-{n}" for n in range(events)))
                await all_ended(stack, handles.values(), within=300)
                took = time.monotonic() - started
                again = [await tries_again(stack.client, one.id) for one in handles.values()]
                figures[name] = {
                    "events_per_second": round(events / took, 1),
                    "tries_sent_away": round(sum(again) / (2 * events), 3),
                }
    return figures


async def tries_again(client: Client, event_id: str) -> int:
    events = (await client.get_workflow_handle(event_id).fetch_history()).events
    return sum(
        event.activity_task_started_event_attributes.attempt - 1
        for event in events
        if event.HasField("activity_task_started_event_attributes")
    )


async def resume(stack: Stack, quick: bool) -> Figures:
    """From `resume` to the last delivery, of events that were held."""
    held = 100 if quick else 500
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    async with worker_processes(stack, 1):
        handles = await emit_many(stack, (f"person-{number}" for number in range(held)))
        await visible(stack, HELD, held, within=300)
        while_held = len(stack.sim.requests)
        await stack.catalog.connections.resume(stack.organization, connection.id)
        started = time.monotonic()
        await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
        await all_ended(stack, handles.values(), within=300)
        took = time.monotonic() - started
    return {
        "held": held,
        "requests_while_held": while_held,
        "seconds": round(took, 1),
        "requests": len(stack.sim.requests),
    }


async def redelivery(stack: Stack, quick: bool) -> Figures:
    """What failed among many, delivered again at fifty a second."""
    total, failures = (100, 30) if quick else (1_000, 300)
    await stack.rule()
    async with worker_processes(stack, 1):
        good = await emit_many(stack, (f"good-{n}" for n in range(total - failures)))
        await all_ended(stack, good.values(), within=300)
        stack.sim.fail("identify", fault=Fault(status=400))
        bad = await emit_many(stack, (f"bad-{n}" for n in range(failures)))
        await all_ended(stack, bad.values(), within=300)
        stack.sim.clear_faults()
        await visible(stack, "ExecutionStatus = 'Failed'", failures)
        before = len(stack.sim.requests)
        started = time.monotonic()
        plan = await plan_redelivery(stack.client, of_the_last_hour(stack))
        planned = time.monotonic() - started
        await start_redelivery(stack.client, plan, task_queue=stack.task_queue, per_second=50)
        async for status in watch_redelivery(stack.client, plan.id):
            assert status.state != "failed"
        await visible(stack, "ExecutionStatus = 'Completed'", total, within=120)
        took = time.monotonic() - started
    return {
        "events": total,
        "failed": failures,
        "plan_seconds": round(planned, 2),
        "seconds": round(took, 1),
        "requests": len(stack.sim.requests) - before,
        "events_at_customerio": len(stack.sim.events),
    }


SECTIONS: dict[str, Measured] = {
    "isolation": isolation,
    "rate": rate,
    "burst": burst,
    "resume": resume,
    "redelivery": redelivery,
}


@asynccontextmanager
async def opened(directory: Path, **settings: Any) -> AsyncIterator[Stack]:
    """Servers and a stack of their own for one section, without a worker."""
    server = await DevServer.start(directory, in_memory=True, ui=False)
    postgres = await EmbeddedPostgres.start(directory / "postgres", durable=False)
    try:
        await migrate_database(postgres.dsn)
        client = await connect(server.address)
        await register_search_attributes(client)
        async with open_stack(client, postgres.dsn, working=False, **settings) as stack:
            yield stack
    finally:
        await postgres.stop()
        await server.stop()


async def main(names: list[str], quick: bool) -> None:
    found: Figures = {"machine": machine(), "commit": commit(), "quick": quick}
    if RESULTS.exists() and len(names) < len(SECTIONS):
        found = json.loads(RESULTS.read_text()) | found
    for name in names:
        with tempfile.TemporaryDirectory(prefix="emitonce-operations-") as directory:
            async with opened(Path(directory)) as stack:
                found[name] = await SECTIONS[name](stack, quick)
        print(json.dumps({name: found[name]}), flush=True)
        if not quick:
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, by commas")
    parser.add_argument("--quick", action="store_true", help="small, not written down")
    asked = parser.parse_args()
    asyncio.run(main(asked.only.split(","), asked.quick))
