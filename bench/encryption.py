"""What encryption costs: the figures of docs/security.md.

    python -m bench.encryption [--events 200] [--rounds 6]

Rounds with and without encryption take turns on one Temporal server in memory, with one worker and
a simulator of Customer.io in this process. Prints each figure; writes
`bench/results/encryption.json`. Ratios are encrypted to plain, medians over pairs of rounds. The
CPU time is this process's: worker, emitter and simulator, without the server's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.converter import WorkflowSerializationContext

from emitonce.codec import EncryptionCodec
from emitonce.key_ring import KeyRing
from engine.connect import connect
from engine.search_attributes import register_search_attributes
from process import migrate_database
from starter.cli.logs import configure_logs
from starter.dev.postgres import EmbeddedPostgres
from starter.dev.temporal_server import DevServer
from tests.integration.stack import SAMPLE, Stack, open_stack
from worker import open_worker

RESULTS = Path(__file__).parent / "results" / "encryption.json"
KEYS = {"k1": bytes(range(32))}
KINDS = ("plain", "encrypted")

Figures = dict[str, Any]


async def main(events: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="emitonce-bench-") as folder:
        postgres = await EmbeddedPostgres.start(Path(folder) / "postgres", durable=False)
        server = await DevServer.start(Path(folder), in_memory=True, ui=False)
        try:
            await migrate_database(postgres.dsn)
            figures: Figures = {"payload": await payloads()}
            figures |= await deliveries(server.address, postgres.dsn, events, rounds)
        finally:
            await server.stop()
            await postgres.stop()
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


async def payloads() -> Figures:
    """Microseconds to seal and to open one payload, by its size in bytes."""
    context = WorkflowSerializationContext("default", "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44")
    codec = EncryptionCodec(KeyRing(KEYS)).with_context(context)
    figures: Figures = {}
    for size in (300, 3_000, 300_000):
        plain = [Payload(metadata={"encoding": b"json/plain"}, data=b"x" * size)]
        sealed = await codec.encode(plain)
        figures[str(size)] = {
            "seal_us": await _microseconds(codec.encode, plain),
            "open_us": await _microseconds(codec.decode, sealed),
            "more_bytes": sealed[0].ByteSize() - plain[0].ByteSize(),
        }
    return figures


async def _microseconds(do: Any, payloads: list[Payload]) -> float:
    times = []
    for _ in range(7):
        started = time.perf_counter()
        for _ in range(200):
            await do(payloads)
        times.append((time.perf_counter() - started) / 200 * 1e6)
    return round(statistics.median(times), 1)


async def deliveries(address: str, database: str, events: int, rounds: int) -> Figures:
    measured: dict[str, list[Figures]] = {kind: [] for kind in KINDS}
    for number in range(-1, rounds):  # the first is for warming up
        for kind in KINDS if number % 2 else reversed(KINDS):
            client = await connect(address, keys=KeyRing(KEYS, encrypts=kind == "encrypted"))
            await register_search_attributes(client)
            async with open_stack(client, database, working=False) as stack:
                # Its name makes room for the next round's.
                await stack.catalog.workspaces.update(
                    stack.organization, stack.workspace, name=f"{kind} {number + 1}"
                )
                figures = await one_round(stack, events)
            if number >= 0:
                measured[kind].append(figures)
                print(kind, figures, flush=True)
    medians = {
        kind: {name: statistics.median(one[name] for one in found) for name in found[0]}
        for kind, found in measured.items()
    }
    # Of rounds that followed each other, so that what else the machine does weighs on both.
    pairs = list(zip(measured["plain"], measured["encrypted"], strict=True))
    ratio = {
        name: statistics.median(sealed[name] / plain[name] for plain, sealed in pairs)
        for name in pairs[0][0]
    }
    return {
        "events": events,
        "rounds": rounds,
        **{kind: _rounded(found) for kind, found in medians.items()},
        "ratio": _rounded(ratio),
    }


def _rounded(figures: Figures) -> Figures:
    return {name: round(value, 3) for name, value in figures.items()}


async def one_round(stack: Stack, events: int) -> Figures:
    """Events from emit to their end, as fast as one worker makes them."""
    await stack.rule()
    settings = stack.settings.model_copy(update={"workflow_sandbox": False})
    async with open_worker(stack.client, stack.catalog, stack.clients, settings):
        cpu, clock = time.process_time(), time.perf_counter()
        handles = [await stack.emit(payload={**SAMPLE, "userId": f"u{n}"}) for n in range(events)]
        for handle in handles:
            await handle.result()
        took, used = time.perf_counter() - clock, time.process_time() - cpu
    described = await stack.client.get_workflow_handle(handles[-1].id).describe()
    return {
        "events_per_second": events / took,
        "cpu_ms_per_event": used / events * 1000,
        "history_bytes": described.raw_description.workflow_execution_info.history_size_bytes,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=6)
    asked = parser.parse_args()
    configure_logs("error")
    asyncio.run(main(asked.events, asked.rounds))
