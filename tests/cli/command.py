"""Runs the command line as a person's shell would: a process, its output, its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import structlog

from starter.cli.main import main

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = [sys.executable, "-m", "starter.cli.main"]
START_SECONDS = 60


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def clean_environment() -> dict[str, str]:
    """The machine's own, without settings that a person may have for other things."""
    ours = ("EMITONCE_", "TEMPORAL_", "CUSTOMERIO_", "CHAOS_")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ours) or name == "TEMPORAL_CLI_PATH"
    }


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    return {
        **clean_environment(),
        "PYTHONPATH": str(ROOT),
        "EMITONCE_DATA_DIR": str(data_dir),
        "COLUMNS": "200",
        **more,
    }


@dataclass(frozen=True)
class CommandLine:
    """Commands that share a data directory, as a person's terminals do."""

    data_dir: Path

    async def run(self, *arguments: str, stdin: str = "", **more: str) -> Ran:
        return await asyncio.to_thread(self._run, arguments, stdin, more)

    def _run(self, arguments: tuple[str, ...], stdin: str, more: dict[str, str]) -> Ran:
        done = subprocess.run(
            [*PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment(self.data_dir, **more),
            cwd=self.data_dir,
            timeout=100,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    async def json(self, *arguments: str) -> Any:
        """What a command prints that comes out well."""
        ran = await self.run(*arguments, "--json")
        assert ran.code == 0, ran.err
        return ran.json


class InProcess(CommandLine):
    """Commands that run in the test's own process, which spares each the seconds of its start."""

    def _run(self, arguments: tuple[str, ...], stdin: str, more: dict[str, str]) -> Ran:
        with contextlib.chdir(self.data_dir):
            return run_in_process(arguments, environment(self.data_dir, **more), stdin)


def run_in_process(
    arguments: tuple[str, ...], variables: Mapping[str, str], stdin: str = ""
) -> Ran:
    """Run a command in a thread of its own: its event loop is another one. One at a time."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        patch.dict(os.environ, variables, clear=True),
        patch.object(sys, "argv", ["emitonce", *arguments]),
        patch.object(sys, "stdin", io.StringIO(stdin)),
        patch("engine.telemetry.forward_core_logs"),
        patch("starter.cli.logs.configure_logs"),
        _others_logs_aside(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


@contextmanager
def _others_logs_aside() -> Iterator[None]:
    """Keep what a worker in this process logs meanwhile out of what the command prints."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))
    try:
        yield
    finally:
        structlog.configure(**before)


@asynccontextmanager
async def running_dev(data_dir: Path, **settings: str) -> AsyncIterator[dict[str, Any]]:
    """`emitonce dev` on free ports; gives its ready line."""
    names = ("--temporal-port", "--ui-port", "--simulator-port", "--http-port")
    ports = [part for name in names for part in (name, "0")]
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        *("dev", "--json", *ports),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(data_dir, **settings),
        cwd=data_dir,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        if not line:
            raise AssertionError((await process.communicate())[1].decode())
        yield json.loads(line)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        _, told = await asyncio.wait_for(process.communicate(), START_SECONDS)
    assert process.returncode == 0, told.decode()[-4_000:]
