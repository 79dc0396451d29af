"""Workers as processes of their own, on a test's servers."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.integration.stack import SECRET, Stack

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def worker_processes(stack: Stack, count: int, **settings: str) -> AsyncIterator[list[int]]:
    """So many, all of them counted; yields their process ids. They are ended in the end."""
    environment = os.environ | {
        "TEMPORAL_ADDRESS": stack.client.service_client.config.target_host,
        "EMITONCE_DATABASE_URL": stack.database,
        "EMITONCE_TASK_QUEUE": stack.task_queue,
        "EMITONCE_CUSTOMERIO_URL_US": stack.sim.base_urls["us"],
        "EMITONCE_CUSTOMERIO_URL_EU": stack.sim.base_urls["eu"],
        "EMITONCE_CREDENTIAL_KEYS": f"k1:{base64.b64encode(b'1' * 32).decode()}",
        "EMITONCE_INSTANCE_SECRET": base64.b64encode(SECRET).decode(),
        **settings,
    }
    processes = [_start(environment) for _ in range(count)]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            await asyncio.to_thread(process.wait, 30)


def _start(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "worker.py"], cwd=ROOT, env=environment)
