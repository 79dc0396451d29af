"""Processes by role, ended or stopped by their ids; what they say goes to files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli.command import clean_environment

ROOT = Path(__file__).parents[2]
START_SECONDS = 90
END_SECONDS = 60


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


async def run_command(*arguments: str, env: Mapping[str, str], root: Path = ROOT) -> Ended:
    """Run `emitonce …` with the code in `root`. Raises TimeoutError when it doesn't end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "starter.cli.main", *arguments),
        cwd=root,
        env=clean_environment() | {"PYTHONPATH": str(root), "COLUMNS": "1000"} | dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), START_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


@dataclass
class Child:
    """One process of ours; `ready` is the JSON line with which it said that it works."""

    role: str
    process: asyncio.subprocess.Process
    ready: dict[str, Any] = field(default_factory=dict)

    @classmethod
    async def start(
        cls,
        role: str,
        module: str,
        *arguments: str,
        env: Mapping[str, str],
        logs: Path,
        root: Path = ROOT,
    ) -> Child:
        """`root` is where its code lies. Raises AssertionError when it ends before it is ready."""
        with (logs / f"{role}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, *arguments),
                cwd=root,
                env=clean_environment() | {"PYTHONPATH": str(root)} | dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        child = cls(role, process)
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
            child.ready = json.loads(line)
        except (TimeoutError, ValueError):
            await child.kill()
            raise AssertionError(f"{role} did not start: see {logs / role}.log") from None
        return child

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    async def kill(self) -> None:
        """As `kill -9` does."""
        self._tell(signal.SIGKILL)
        await self.process.wait()

    async def terminate(self) -> int:
        """As an orchestrator does; its exit code."""
        self._tell(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), END_SECONDS)

    async def died(self) -> None:
        """Wait until it has ended by itself."""
        await asyncio.wait_for(self.process.wait(), START_SECONDS)

    def freeze(self) -> None:
        self._tell(signal.SIGSTOP)

    def thaw(self) -> None:
        self._tell(signal.SIGCONT)

    def _tell(self, number: signal.Signals) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)
