"""Two commits side by side, given the same work in turn, there and back; what each costs in CPU."""

from __future__ import annotations

import json
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.facts import commit, machine
from bench.processes import TICKS
from tests.chaos.processes import Child


@dataclass
class Side:
    """A process of one commit."""

    name: str
    child: Child

    @property
    def cpu(self) -> float:
        """Seconds, of all its threads, by the kernel's account."""
        stat = Path(f"/proc/{self.child.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS


async def alternate(
    earlier: Side, this: Side, pairs: int, events: int, work: Callable[[Side, int], Awaitable[None]]
) -> dict[str, Any]:
    """Give each side `events` to do, pair by pair; milliseconds of CPU for each event."""
    found: dict[str, list[float]] = {earlier.name: [], this.name: []}
    for number in range(-1, pairs):  # the first is dropped
        order = (earlier, this) if number % 2 else (this, earlier)
        for side in order:
            before = side.cpu
            await work(side, events)
            if number >= 0:
                found[side.name].append(round(1000 * (side.cpu - before) / events, 3))
    ratios = [b / a for a, b in zip(found[earlier.name], found[this.name], strict=True)]
    return {
        "events": events,
        "cpu_ms": found,
        "ratios": [round(one, 3) for one in ratios],
        "ratio": round(statistics.median(ratios), 3),
    }


def keep(results: Path, kind: str, earlier: str, figures: dict[str, Any]) -> None:
    """Add the figures to a file of results, by their kind, and print them."""
    stored = json.loads(results.read_text()) if results.exists() else {}
    stored[kind] = {"machine": machine(), "commit": commit(), "earlier": earlier, **figures}
    results.write_text(json.dumps(stored, indent=1) + "\n")
    print(json.dumps(stored[kind], indent=1))
