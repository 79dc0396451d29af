"""One version, wherever a release names itself."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

from packaging.version import Version

import emitonce
from settings import Settings
from tests.integration.stack import Stack
from tests.operations.processes import ROOT, command, worker_processes

RELEASED = re.compile(r"^## (\d+\.\d+\.\d+)", re.MULTILINE)


async def test_the_command_and_a_workers_row_name_it(stack: Stack) -> None:
    told = await command(stack, "--version")
    assert (told.code, told.out) == (0, f"emitonce {emitonce.__version__}\n")
    async with worker_processes(stack, 1, EMITONCE_BUILD_ID="abc123"):
        named = await stack.catalog.pool.fetchval("SELECT release FROM workers")
    assert named == f"{emitonce.__version__}+abc123" == Settings(build_id="abc123").release


def test_the_installed_server_has_it() -> None:
    assert version("emitonce-server") == emitonce.__version__


def test_the_changelog_is_of_this_release_or_of_the_one_before() -> None:
    latest = Version(RELEASED.findall(Path(ROOT, "CHANGELOG.md").read_text())[0])
    this = Version(emitonce.__version__)
    assert latest < this if this.is_prerelease else latest == this
