"""The same workflow with our server's, worker's and client's settings, and with a timeout slightly
longer than the longest request, as Temporal's documentation recommends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import workflow
from temporalio.service import GrpcCompression
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner

from bench.emitter import Accept
from bench.lane import Lane
from bench.lanes import bare
from destinations.http.exchange import TOTAL_TIMEOUT_SECONDS

CLIENT = {"grpc_compression": GrpcCompression.NONE}
TIMEOUT = timedelta(seconds=TOTAL_TIMEOUT_SECONDS + 2)


@workflow.defn(name="Bare")
class Bare:
    @workflow.run
    async def run(self, payload: dict[str, Any]) -> None:
        await bare.deliver(payload, TIMEOUT)


def start(directory: Path, vendor: str) -> Lane:
    lane = bare.start(directory, vendor, tuned=True)
    lane.settings["worker"] = "unsandboxed, 20 workflow tasks, poller autoscaling, no gzip"
    return lane


@asynccontextmanager
async def accepting(target: dict[str, Any]) -> AsyncIterator[Accept]:
    async with bare.accepting(target, **CLIENT) as accept:
        yield accept


if __name__ == "__main__":
    asyncio.run(
        bare.main(
            Bare,
            client=CLIENT,
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_concurrent_workflow_tasks=20,
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        )
    )
