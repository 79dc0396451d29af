"""A worker as it runs in production: a process of its own, which can be killed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from destinations.simulators import base_urls
from tests.integration.stack import Stack
from tests.operations.processes import ROOT, environment_of

EXIT_SECONDS = 40


class WorkerProcess:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    async def kill(self) -> None:
        """As `kill -9` does: nothing is finished, nobody is told."""
        self._process.kill()
        await self._ended()

    async def died(self) -> None:
        """Wait until it has ended by itself."""
        await self._ended()

    async def terminate(self) -> int:
        """Ask it to end, as an orchestrator does; returns its exit code."""
        self._process.terminate()
        return await self._ended()

    async def _ended(self) -> int:
        return await asyncio.to_thread(self._process.wait, EXIT_SECONDS)


@asynccontextmanager
async def worker_process(stack: Stack, *command: str) -> AsyncIterator[WorkerProcess]:
    """`emitonce worker` on the test's servers and task queue; killed in the end if it still runs.

    `command` is what Python runs instead.
    """
    simulated = {"EMITONCE_BASE_URLS": json.dumps(base_urls(stack.simulators))}
    environment = environment_of(stack) | simulated
    worker = WorkerProcess(_start(command or ("-m", "starter.cli.main", "worker"), environment))
    try:
        yield worker
    finally:
        await worker.kill()


def _start(command: tuple[str, ...], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment)
