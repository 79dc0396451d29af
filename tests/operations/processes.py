"""Workers as processes of their own, and commands, on a test's servers."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.cli.command import Ran, run_in_process
from tests.integration.stack import SECRET, Stack, eventually

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def worker_processes(stack: Stack, count: int, **settings: str) -> AsyncIterator[list[int]]:
    """Run `count` workers until all know each other; yield their process ids. Ends them at last."""
    environment = environment_of(stack) | settings
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "starter.cli.main", "worker"), cwd=ROOT, env=environment
        )
        for _ in range(count)
    ]

    async def up() -> bool:
        counted = await stack.catalog.pool.fetch("SELECT counted FROM workers")
        return [row["counted"] for row in counted] == [count] * count

    try:
        await eventually(up, within=60)
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            await process.wait()


async def command(stack: Stack, *arguments: str, typed: str = "", **settings: str) -> Ran:
    """Run `emitonce …` to its end; `typed` is its standard input. One at a time."""
    variables = environment_of(stack) | settings
    return await asyncio.to_thread(run_in_process, arguments, variables, typed)


def environment_of(stack: Stack) -> dict[str, str]:
    return os.environ | {
        "TEMPORAL_ADDRESS": stack.client.service_client.config.target_host,
        "EMITONCE_DATA_DIR": f"{tempfile.gettempdir()}/emitonce-nowhere",
        "EMITONCE_DATABASE_URL": stack.database,
        "EMITONCE_PAYLOAD_ENCRYPTION": "false",  # as for the test, which reads along
        "EMITONCE_TASK_QUEUE": stack.task_queue,
        "EMITONCE_CUSTOMERIO_URL_US": stack.sim.base_urls["us"],
        "EMITONCE_CUSTOMERIO_URL_EU": stack.sim.base_urls["eu"],
        "EMITONCE_CREDENTIAL_KEYS": f"k1:{base64.b64encode(b'1' * 32).decode()}",
        "EMITONCE_INSTANCE_SECRET": base64.b64encode(SECRET).decode(),
    }
