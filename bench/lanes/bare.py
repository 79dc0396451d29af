"""The plainest identify→track workflow, as a first example would have it, on defaults; its requests
are made as in every lane.

As a program (`python -m bench.lanes.bare`) it is the lane's worker.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from bench.emitter import Accept
    from bench.lane import Lane
    from bench.processes import Process, python
    from bench.temporal_server import describe_runs, start_server
    from bench.vendor import AT_ONCE, Vendor
    from process import keep_what_is_loaded

QUEUE = "bare"


class Calls:
    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    @activity.defn(name="identify")
    async def identify(self, payload: dict[str, Any]) -> str:
        return await self._vendor.identify(payload)

    @activity.defn(name="track")
    async def track(self, payload: dict[str, Any]) -> str:
        return await self._vendor.track(payload)


async def deliver(payload: dict[str, Any], timeout: timedelta) -> None:
    for call in (Calls.identify, Calls.track):
        await workflow.execute_activity_method(call, payload, start_to_close_timeout=timeout)


@workflow.defn(name="Bare")
class Bare:
    @workflow.run
    async def run(self, payload: dict[str, Any]) -> None:
        await deliver(payload, timedelta(seconds=30))


def start(directory: Path, vendor: str, *, tuned: bool = False) -> Lane:
    server, address = start_server(directory, tuned=tuned)
    module = "bench.lanes.bare_tuned" if tuned else "bench.lanes.bare"

    def start_worker() -> Process:
        env = {"BENCH_TEMPORAL": address, "BENCH_VENDOR": vendor}
        return Process.start("worker", python(module), env=env, log=directory / "worker.log")

    return Lane(
        name="bare_tuned" if tuned else "bare",
        target={"address": address},
        stored=(directory / "temporal.db", directory / "temporal.db-wal"),
        start_worker=start_worker,
        engine=[server],
        workers=[start_worker()],
        describe=lambda: describe_runs(address, "Bare"),
        settings={"server": "tuned" if tuned else "defaults", "worker": "defaults"},
    )


@asynccontextmanager
async def accepting(target: dict[str, Any], **options: Any) -> AsyncIterator[Accept]:
    client = await Client.connect(target["address"], **options)

    async def accept(number: int, payload: dict[str, Any]) -> None:
        await client.start_workflow("Bare", payload, id=str(uuid.uuid4()), task_queue=QUEUE)

    yield accept


async def main(run: type = Bare, **options: Any) -> None:
    client = await Client.connect(os.environ["BENCH_TEMPORAL"], **options.pop("client", {}))
    calls = Calls(Vendor(os.environ["BENCH_VENDOR"]))
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[run],
        activities=[calls.identify, calls.track],
        max_concurrent_activities=AT_ONCE,
        **options,
    ):
        keep_what_is_loaded()
        print(json.dumps({"ready": True}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit()
