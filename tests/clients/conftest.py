from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api.caller import Api, open_api
from tests.integration.stack import Stack

ROOT = Path(__file__).parents[2]


@pytest_asyncio.fixture
async def stack(shared_stack: Stack) -> Stack:
    """The module's stack, for an organization of the test's own."""
    return await shared_stack.tenant()


@pytest_asyncio.fixture
async def api(stack: Stack) -> AsyncIterator[Api]:
    async with open_api(stack) as api:
        yield api


@pytest_asyncio.fixture(scope="module")
async def shared_api(shared_stack: Stack) -> AsyncIterator[Api]:
    async with open_api(shared_stack) as api:
        yield api


@dataclass(frozen=True)
class Program:
    """How a program ended, and what it printed."""

    code: int
    out: str


async def run(*command: str | Path, cwd: Path, seconds: float = 100, **settings: str) -> Program:
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return Program(process.returncode, out.decode())


def machine_key(api: Api) -> dict[str, str]:
    """What a backend over HTTP has in its environment, beside the URL."""
    return {
        "EMITONCE_ORGANIZATION": api.machine.organization,
        "EMITONCE_ACCESS_KEY": api.machine.access_key,
        "EMITONCE_SECRET_KEY": api.machine.secret_key,
        "EMITONCE_WORKSPACE": api.stack.workspace,
    }


@pytest.fixture(scope="session")
def uv() -> str:
    found = shutil.which("uv") or str(ROOT / ".tools/bin/uv")
    if not Path(found).exists():
        pytest.skip("uv is not here; `make setup` brings it")
    return found


@pytest.fixture(scope="session")
def wheel(uv: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's wheel, made as it is published: from its source distribution."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [uv, "build", "--quiet", "--python", sys.executable, "packages/emitonce", "-o", folder],
        cwd=ROOT,
        check=True,
        timeout=100,
    )
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def python_with_wheel(uv: str, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python in which the wheel and what it asks for is installed, and nothing else."""
    return installed(uv, tmp_path_factory.mktemp("client"), str(wheel))


def installed(uv: str, folder: Path, *packages: str) -> Path:
    subprocess.run(
        [uv, "venv", "--quiet", "--python", sys.executable, folder], check=True, timeout=60
    )
    python = folder / "bin" / "python"
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", python, *packages], check=True, timeout=100
    )
    return python
