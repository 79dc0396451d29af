"""Processes by role, started and ended by their ids, and what they cost by the kernel's account."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
START_SECONDS = 120


@dataclass
class Cost:
    """CPU in seconds, resident memory in bytes (as last seen)."""

    cpu: float = 0.0
    rss: int = 0


@dataclass
class Process:
    """One child and its descendants; `role` is emitter, worker, engine or database."""

    role: str
    popen: subprocess.Popen[str]
    ready: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        role: str,
        command: list[str],
        *,
        env: dict[str, str] | None = None,
        wait: bool = True,
        log: Path | None = None,
        cwd: Path = ROOT,
    ) -> Process:
        """Start it; with `wait` until it prints its first line, a JSON object."""
        output = (log or Path(os.devnull)).open("a")
        popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if wait else output,
            stderr=output,
            text=True,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            start_new_session=True,
        )
        process = cls(role, popen)
        if wait:
            assert popen.stdout is not None
            line = popen.stdout.readline()
            if not line:
                raise RuntimeError(f"{role} did not start: {' '.join(command)}")
            process.ready = json.loads(line)
        return process

    def cost(self) -> Cost:
        total = Cost()
        for pid in _family(self.popen.pid):
            try:
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total.cpu += (int(stat[11]) + int(stat[12])) / TICKS
            total.rss += int(stat[21]) * PAGE
        return total

    def kill(self) -> None:
        """Without a word."""
        os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def stop(self) -> None:
        if self.popen.poll() is not None:
            return
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


def _family(pid: int) -> list[int]:
    found, left = [], [pid]
    while left:
        found.append(current := left.pop())
        try:
            tasks = Path(f"/proc/{current}/task").iterdir()
            for task in tasks:
                left += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def tree_bytes(path: Path) -> int:
    """What lies on disk below a path."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def monotonic() -> float:
    return time.monotonic()
