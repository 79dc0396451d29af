"""The code of this project as it was before the last change to what a worker runs."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from tests.chaos.processes import ROOT

RUN_BY_WORKERS = ("workflows", "activities", "delivery", "destinations", "engine", "worker.py")


def check_out_older(into: Path) -> str:
    """Lay its files into a new folder; returns the commit, shortened.

    Raises:
        AssertionError: this is no clone, or one without history.
    """
    changed = _git("log", "-1", "--format=%H", "--", *RUN_BY_WORKERS).decode().strip()
    older = _git("rev-parse", f"{changed}^").decode().strip()
    with tarfile.open(fileobj=io.BytesIO(_git("archive", older))) as archive:
        archive.extractall(into, filter="data")
    return older[:12]


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, (
        f"older code comes from git's history, which says: {done.stderr.decode().strip()} "
        "(a shallow clone has none: git fetch --unshallow)"
    )
    return done.stdout
