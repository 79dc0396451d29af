"""The same workflow with our server's, worker's and client's settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from temporalio.service import GrpcCompression
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner

from bench.emitter import Accept
from bench.lane import Lane
from bench.lanes import bare

CLIENT = {"grpc_compression": GrpcCompression.NONE}


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
            client=CLIENT,
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_concurrent_workflow_tasks=20,
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        )
    )
