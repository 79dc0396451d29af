"""A command that can't do what it was told says so in a sentence, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import PROGRAM, InProcess, environment
from tests.cli.conftest import Dev

ELSEWHERE = {"EMITONCE_DATABASE_URL": "postgresql://127.0.0.1:9/emitonce"}


@pytest.mark.parametrize(
    "arguments", [("workspaces", "list"), ("worker",), ("api",), ("migrate",), ("doctor",)]
)
async def test_where_no_stack_is_the_command_says_which_one_it_looks_for(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ran = await InProcess(tmp_path).run(*arguments, EMITONCE_DATA_DIR=".emitonce")
    assert ran.code == (1 if arguments == ("doctor",) else 6), ran.err
    said = "".join((ran.err + ran.out).split())  # tables wrap lines, and even long words
    assert f"nostackisupon{tmp_path / '.emitonce'}" in said
    assert "EMITONCE_DATA_DIR" in said
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("arguments", [("replay",), ("worker",), ("api",)])
async def test_a_server_that_nobody_named_is_not_talked_to(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ran = await InProcess(tmp_path).run(*arguments, **ELSEWHERE)
    assert ran.code == 6
    assert "TEMPORAL_ADDRESS" in ran.err


async def test_doctor_does_not_examine_a_server_that_nobody_named(tmp_path: Path) -> None:
    ran = await InProcess(tmp_path).run("doctor", "--json", **ELSEWHERE)
    [of_temporal] = [one for one in ran.json["findings"] if one["matter"] == "temporal"]
    assert (ran.code, of_temporal["state"]) == (1, "error")
    assert "no stack is up" in of_temporal["said"]


async def test_a_setting_that_can_not_be_meant_is_named_in_our_words(tmp_path: Path) -> None:
    ran = await InProcess(tmp_path).run("worker", EMITONCE_ENV="prod")
    assert ran.code == 6
    assert ran.err == "error: EMITONCE_ENV: must be 'development' or 'production'\n"


@pytest.mark.parametrize("output", ["missing/log.jsonl", "."])
async def test_a_file_that_can_not_be_written_is_named(dev: Dev, output: str) -> None:
    ran = await dev.cli.run("export", "--since", "1h", "--output", output)
    assert ran.code == 4
    assert ran.err.startswith(f"error: --output: {output} can't be used: ")
    assert "Traceback" not in ran.err


@pytest.mark.slow
async def test_a_reader_that_leaves_changes_nothing_but_the_output(dev: Dev) -> None:
    whole = await dev.cli.run("doctor")
    gone, kept = os.pipe()
    os.close(gone)

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, "doctor"],
            stdout=kept,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(dev.cli.data_dir),
            cwd=dev.cli.data_dir,
            timeout=100,
            check=False,
        )

    cut = await asyncio.to_thread(run)
    os.close(kept)
    assert (cut.returncode, cut.stderr) == (whole.code, whole.err)
