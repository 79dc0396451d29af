"""What a lane is: processes that deliver, and where its emitter and its figures come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import Process


@dataclass
class Lane:
    """`target` is handed to the emitter's process; `stored` is what lies on disk.

    `start_worker` starts one more worker. `describe` samples finished events: history events and
    state transitions each.
    """

    name: str
    target: dict[str, Any]
    stored: tuple[Path, ...]
    start_worker: Callable[[], Process]
    engine: list[Process] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)
    describe: Callable[[], dict[str, float]] = dict
    emitters: int = 1
    settings: dict[str, str] = field(default_factory=dict)

    def processes(self) -> list[Process]:
        return [*self.engine, *self.workers]

    def stop(self) -> None:
        for process in [*self.workers, *reversed(self.engine)]:
            process.stop()


class Unavailable(Exception):
    """What the lane needs is not on this machine; the message says how to get it."""
