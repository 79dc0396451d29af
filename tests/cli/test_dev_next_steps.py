"""What `emitonce dev` tells a newcomer to type works, and is shown only while it does."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cli.command import START_SECONDS, environment

IS_UP = b"Ctrl-C ends it."
LAST_OF_THEM = b"--wait\n"


@pytest.mark.slow
async def test_next_steps_deliver_an_event_and_are_not_shown_again(tmp_path: Path) -> None:
    async with _dev(tmp_path) as process:
        shown = await _read(process, LAST_OF_THEM)
        steps = shown.partition("in another terminal:")[2]
        typed = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", steps),
            env=_environment(tmp_path),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        answered, _ = await asyncio.wait_for(typed.communicate(), START_SECONDS)
        assert typed.returncode == 0, answered.decode()
        assert "user.signup  completed" in answered.decode()
    async with _dev(tmp_path) as process:
        await _read(process, IS_UP)
        process.send_signal(signal.SIGINT)
        shown, _ = await asyncio.wait_for(process.communicate(), START_SECONDS)
    assert process.returncode == 0
    assert "PostgreSQL" in shown.decode()
    assert "workspaces create" not in shown.decode()


@asynccontextmanager
async def _dev(data_dir: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    ports = [f"--{part}-port=0" for part in ("temporal", "ui", "simulator", "http")]
    process = await asyncio.create_subprocess_exec(
        *("emitonce", "dev", *ports),
        env=_environment(data_dir),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), START_SECONDS)


async def _read(process: asyncio.subprocess.Process, end: bytes) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readuntil(end), START_SECONDS)).decode()


def _environment(data_dir: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return environment(data_dir, PATH=path)
