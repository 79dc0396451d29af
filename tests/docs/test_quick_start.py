"""The quick start's commands, run one after the other as a reader would."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.cli.command import environment
from tests.docs.pages import ROOT, Page

# What the reader has done already: this checkout is set up.
SET_UP = "make setup"


@pytest.mark.slow
async def test_it_delivers(tmp_path: Path) -> None:
    scripts = [
        script
        for script in Page(ROOT / "docs" / "quick-start.md").scripts()
        if SET_UP not in script
    ]
    assert len(scripts) >= 3
    settings = environment(tmp_path / "data") | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    }
    dev = await asyncio.create_subprocess_exec(
        *("emitonce", "dev", "--json", "--temporal-port", "0", "--ui-port", "0"),
        *("--simulator-port", "0", "--http-port", "0"),
        cwd=tmp_path,
        env=settings,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert dev.stdout is not None
        async with asyncio.timeout(90):
            assert json.loads(await dev.stdout.readline())["ready"]
        reader = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", "\n".join(scripts)),
            cwd=tmp_path,
            env=settings,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(110):
            said, _ = await reader.communicate()
        assert reader.returncode == 0, said.decode()
        assert said.decode().count("─ identify ─") >= 3
    finally:
        dev.terminate()
        await dev.wait()
