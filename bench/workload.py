"""What is to be done, the same for every lane."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Workload:
    """`rate` events a second for `count / rate` seconds, open model; None: as fast as accepted.

    `concurrency` bounds the accepting calls under way in a burst. `kill` ends the worker without a
    word when half of the events are tracked, and starts another at once.
    """

    name: str
    count: int
    rate: float | None = None
    concurrency: int = 64
    latency_ms: float = 0
    fail_503: float = 0
    fail_429: float = 0
    kill: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


BURST = Workload("burst", 500)
STEADY_10 = Workload("steady-10", 80, rate=10)
STEADY_40 = Workload("steady-40", 400, rate=40)
SLOW_VENDOR = Workload("vendor-200ms", 200, rate=20, latency_ms=200)
FAULTY = Workload("faults", 240, rate=20, fail_503=0.05, fail_429=0.02)
KILLED = Workload("kill", 1_200, kill=True)


def payload(run: str, number: int) -> dict[str, Any]:
    """The product page's, with a user of its own for each event."""
    return {
        "userId": f"{run}-{number}",
        "email": f"user-{number}@example.com",
        "first_name": "Test",
        "last_name": "User",
        "plan": "pro",
    }
