"""What delivering an event costs a worker, against an earlier commit: see docs/benchmarks.md.

    python -m bench.delivering a111675 [--pairs 9] [--events 400]

A worker of either commit, on one database, one Temporal server and one simulator. They get the same
bursts in turn, there and back; each event is one identify and one track. A pair's ratio is that of
the CPU time that the two processes took. Writes `bench/results/delivering.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import tempfile
import uuid
from contextlib import AsyncExitStack
from pathlib import Path

from bench.alternating import Side, alternate, keep
from emitonce import Emitter
from engine.connect import connect
from engine.search_attributes import register_search_attributes
from process import migrate_database
from starter.cli.logs import configure_logs
from starter.dev.postgres import EmbeddedPostgres
from starter.dev.temporal_server import DevServer
from tests.chaos.older_code import check_out
from tests.chaos.processes import ROOT, Child
from tests.integration.stack import CREDENTIAL_KEY, SAMPLE, SECRET, Stack, open_stack

RESULTS = Path(__file__).parent / "results" / "delivering.json"


async def main(earlier: str, pairs: int, events: int) -> None:
    configure_logs()
    async with AsyncExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="emitonce-bench-")))
        postgres = await EmbeddedPostgres.start(folder / "postgres", durable=False)
        parts.push_async_callback(postgres.stop)
        server = await DevServer.start(folder, in_memory=True, ui=False)
        parts.push_async_callback(server.stop)
        client = await connect(server.address)
        await register_search_attributes(client)
        await migrate_database(postgres.dsn)
        stack = await parts.enter_async_context(open_stack(client, postgres.dsn, working=False))
        await stack.rule()
        sides, emitters = [], {}
        for name, root in (("earlier", check_out(earlier, folder / "earlier")), ("this", ROOT)):
            queue = f"{name}-{uuid.uuid4()}"
            child = await Child.start(
                name,
                *("starter.cli.main", "worker", "--json"),
                env=_env(server.address, stack, queue),
                logs=folder,
                root=root,
            )
            parts.push_async_callback(child.terminate)
            sides.append(Side(name, child))
            emitters[name] = Emitter(client, instance_secret=SECRET, task_queue=queue)

        async def deliver(side: Side, events: int) -> None:
            emitter = emitters[side.name]
            started = [
                await emitter.emit("user.signup", SAMPLE, workspace=stack.workspace)
                for _ in range(events)
            ]
            for one in started:
                result = await emitter.get(one.id).result()
                assert result["status"] == "completed", result

        figures = await alternate(sides[0], sides[1], pairs, events, deliver)
    keep(RESULTS, "delivering", earlier, figures)


def _env(address: str, stack: Stack, queue: str) -> dict[str, str]:
    return {
        "EMITONCE_DATABASE_URL": stack.database,
        "EMITONCE_CREDENTIAL_KEYS": f"k1:{base64.b64encode(CREDENTIAL_KEY).decode()}",
        "EMITONCE_INSTANCE_SECRET": base64.b64encode(SECRET).decode(),
        "EMITONCE_PAYLOAD_ENCRYPTION": "off",
        "EMITONCE_CUSTOMERIO_URL_US": stack.sim.base_urls["us"],
        "EMITONCE_CUSTOMERIO_URL_EU": stack.sim.base_urls["eu"],
        "EMITONCE_TASK_QUEUE": queue,
        "TEMPORAL_ADDRESS": address,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("earlier")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--events", type=int, default=400)
    given = parser.parse_args()
    asyncio.run(main(given.earlier, given.pairs, given.events))
