"""Earlier code of this project, out of git's history."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from tests.chaos.processes import ROOT

RUN_BY_WORKERS = (
    "workflows",
    "activities",
    "delivery",
    "destinations",
    "engine",
    "eventlog",
    "operations",
    "process.py",
    "worker.py",
)


def before_last_change() -> str:
    """The commit before the last change to what a worker runs. Raises as `check_out`."""
    changed = _git("log", "-1", "--format=%H", "--", *RUN_BY_WORKERS).decode().strip()
    return _git("rev-parse", f"{changed}^").decode().strip()


def check_out(commit: str, into: Path) -> Path:
    """Lay the files of a commit into a new folder, and return the folder.

    Raises:
        AssertionError: this is no clone, or one without the commit.
    """
    with tarfile.open(fileobj=io.BytesIO(_git("archive", commit))) as archive:
        archive.extractall(into, filter="data")
    return into


def is_known(commit: str) -> bool:
    """Whether this clone has the commit; a shallow one has few."""
    asked = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
    return subprocess.run(asked, cwd=ROOT, capture_output=True).returncode == 0


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, (
        f"older code comes from git's history, which says: {done.stderr.decode().strip()} "
        "(a shallow clone has none: git fetch --unshallow)"
    )
    return done.stdout
