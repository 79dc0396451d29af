"""The emitter's process: accepts the workload's events and says when each was.

    python -m bench.emitter LANE < {"workload": …, "target": …, "run": "…", "first": 0, "warm": "…"}

Prints {"ready": true}, waits for a line, works, and prints one line of samples.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from bench.workload import Workload, payload

Accept = Callable[[int, dict[str, Any]], Awaitable[None]]


async def emit(workload: Workload, run: str, first: int, accept: Accept) -> dict[str, list[int]]:
    """Begin and end of each acceptance, in wall-clock nanoseconds, from event number `first` on.

    In the open model an event's begin is when it was due, so that waiting for others counts.
    """
    begun = [0] * workload.count
    done = [0] * workload.count
    slots = asyncio.Semaphore(workload.concurrency if workload.rate is None else workload.count)

    async def one(number: int, due: int) -> None:
        async with slots:
            begun[number] = due or time.time_ns()
            await accept(number, payload(run, first + number))
            done[number] = time.time_ns()

    tasks = []
    began = time.time_ns()
    for number in range(workload.count):
        due = 0
        if workload.rate is not None:
            due = began + int(number / workload.rate * 1e9)
            await asyncio.sleep(max(0.0, (due - time.time_ns()) / 1e9))
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    return {"begun": begun, "done": done}


async def main(lane: str) -> None:
    given = json.loads(sys.stdin.readline())
    workload = Workload(**given["workload"])
    module = import_module(f"bench.lanes.{lane}")
    async with module.accepting(given["target"]) as accept:
        for number in range(20):  # connections and code paths warm, counted nowhere
            await accept(-1 - number, payload(given["warm"], number))
        print(json.dumps({"ready": True}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        samples = await emit(workload, given["run"], given["first"], accept)
        print(json.dumps(samples), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
