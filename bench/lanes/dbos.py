"""The same two steps as a DBOS workflow on PostgreSQL, enqueued by a client in another process.

As a program (`python -m bench.lanes.dbos`) it is the lane's worker.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.emitter import Accept
from bench.lane import Lane, Unavailable
from bench.processes import Process, python
from bench.vendor import AT_ONCE, Vendor

QUEUE = "bench"
VERSION = "bench"


def start(directory: Path, vendor: str) -> Lane:
    try:
        import dbos  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        raise Unavailable("make bench-tools") from None
    database = Process.start("engine", python("bench.database", str(directory / "postgres")))
    env = {"BENCH_DSN": database.ready["dsn"], "BENCH_VENDOR": vendor}

    def start_worker() -> Process:
        log = directory / "worker.log"
        return Process.start("worker", python("bench.lanes.dbos"), env=env, log=log)

    return Lane(
        name="dbos",
        target={"dsn": database.ready["dsn"]},
        stored=(directory / "postgres",),
        start_worker=start_worker,
        engine=[database],
        workers=[start_worker()],
        settings={"queue polling": "0.1 s", "worker concurrency": str(AT_ONCE)},
    )


@asynccontextmanager
async def accepting(target: dict[str, Any]) -> AsyncIterator[Accept]:
    from dbos import DBOSClient

    client = DBOSClient(system_database_url=target["dsn"])

    async def accept(number: int, payload: dict[str, Any]) -> None:
        options = {"workflow_name": "deliver", "queue_name": QUEUE, "app_version": VERSION}
        await client.enqueue_async(options, payload)

    try:
        yield accept
    finally:
        client.destroy()


def main() -> None:
    from dbos import DBOS

    DBOS(
        config={
            "name": "bench",
            "system_database_url": os.environ["BENCH_DSN"],
            "application_version": VERSION,
            "executor_id": "bench",
            "log_level": "ERROR",
        }
    )
    vendor = Vendor(os.environ["BENCH_VENDOR"])

    @DBOS.step(retries_allowed=True, max_attempts=10)
    async def identify(payload: dict[str, Any]) -> str:
        return await vendor.identify(payload)

    @DBOS.step(retries_allowed=True, max_attempts=10)
    async def track(payload: dict[str, Any]) -> str:
        return await vendor.track(payload)

    @DBOS.workflow(name="deliver")
    async def deliver(payload: dict[str, Any]) -> None:
        await identify(payload)
        await track(payload)

    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=AT_ONCE, polling_interval_sec=0.1)
    print(json.dumps({"ready": True}), flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
