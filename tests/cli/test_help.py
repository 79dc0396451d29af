"""Help, the release and the completion of names answer at once: they import no client."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from starter.cli.commands import COMMANDS, load
from tests.cli.command import environment

PROGRAM = Path(sys.executable).with_name("emitonce")
CLIENTS = {"aiohttp", "asyncpg", "fastapi", "httpx", "temporalio", "opentelemetry"}
COMPLETION = {"_EMITONCE_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "emitonce wor"}


def run(tmp_path: Path, *arguments: str, **variables: str) -> tuple[str, set[str]]:
    """What it prints, and which packages it imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        env=environment(tmp_path, **variables, COLUMNS="80"),
        timeout=100,
        check=False,
    )
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    return done.stdout, {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_imports_no_client(tmp_path: Path, argument: str) -> None:
    printed, imported = run(tmp_path, argument)
    assert "emitonce" in printed
    assert "typer" in imported
    assert not imported & CLIENTS


def test_names_of_commands_are_completed_without_importing_a_client(tmp_path: Path) -> None:
    printed, imported = run(tmp_path, **COMPLETION)
    assert "worker" in printed
    assert "workspaces" in printed
    assert not imported & CLIENTS


def test_help_has_one_whole_line_for_each_command(tmp_path: Path) -> None:
    printed, _ = run(tmp_path, "--help")
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert [f"{name} {place.line}" for name, place in COMMANDS.items()] == [
        line for line in lines if line.partition(" ")[0] in COMMANDS
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_can_be_loaded(name: str) -> None:
    command = load(name)
    assert command.name == name
    assert command.help
