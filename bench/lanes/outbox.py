"""An outbox table with leases, through asyncpg: the least that is durable. No log, no rules.

As a program (`python -m bench.lanes.outbox`) it is the lane's worker.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from bench.emitter import Accept
from bench.lane import Lane
from bench.processes import Process, python
from bench.vendor import AT_ONCE, Vendor

LEASE = "10 seconds"

SCHEMA = """
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payload jsonb NOT NULL,
    identified boolean NOT NULL DEFAULT false,
    done boolean NOT NULL DEFAULT false,
    leased_until timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE INDEX outbox_open ON outbox (id) WHERE NOT done;
"""
LEASED = f"""
UPDATE outbox SET leased_until = now() + interval '{LEASE}' WHERE id IN (
    SELECT id FROM outbox WHERE NOT done AND leased_until < now()
    ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
) RETURNING id, payload, identified
"""


def start(directory: Path, vendor: str) -> Lane:
    database = Process.start("engine", python("bench.database", str(directory / "postgres")))
    dsn = database.ready["dsn"]
    asyncio.run(_create(dsn))

    def start_worker() -> Process:
        env = {"BENCH_DSN": dsn, "BENCH_VENDOR": vendor}
        log = directory / "worker.log"
        return Process.start("worker", python("bench.lanes.outbox"), env=env, log=log)

    return Lane(
        name="outbox",
        target={"dsn": dsn},
        stored=(directory / "postgres",),
        start_worker=start_worker,
        engine=[database],
        workers=[start_worker()],
        settings={"lease": LEASE, "at once": str(AT_ONCE)},
    )


async def _create(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(SCHEMA)
    await connection.close()


@asynccontextmanager
async def accepting(target: dict[str, Any]) -> AsyncIterator[Accept]:
    async with asyncpg.create_pool(target["dsn"], max_size=16) as pool:

        async def accept(number: int, payload: dict[str, Any]) -> None:
            await pool.execute("INSERT INTO outbox (payload) VALUES ($1)", json.dumps(payload))

        yield accept


async def main() -> None:
    vendor = Vendor(os.environ["BENCH_VENDOR"])
    async with asyncpg.create_pool(os.environ["BENCH_DSN"], max_size=16) as pool:

        async def deliver(row: Any) -> None:
            payload = json.loads(row["payload"])
            if not row["identified"]:
                await vendor.identify(payload)
                await pool.execute("UPDATE outbox SET identified = true WHERE id = $1", row["id"])
            await vendor.track(payload)
            await pool.execute("UPDATE outbox SET done = true WHERE id = $1", row["id"])

        print(json.dumps({"ready": True}), flush=True)
        running: set[asyncio.Task[None]] = set()
        while True:
            room = AT_ONCE - len(running)
            rows = await pool.fetch(LEASED, room) if room else []
            running |= {asyncio.create_task(deliver(row)) for row in rows}
            if running:
                done, running = await asyncio.wait(
                    running, timeout=0.05, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    task.exception()  # its lease runs out, and it is tried again
            else:
                await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
