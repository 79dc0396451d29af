"""What so many events a second need: measured costs of one event, turned into a plan.

    python -m bench.capacity

Reads `bench/results/latest.json`, prints the tables, and writes them into `docs/scaling.md` between
its marks. The formulas are the whole model; what they leave out is said on that page.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import ROOT

RESULTS = ROOT / "bench" / "results" / "latest.json"
PAGE = ROOT / "docs" / "scaling.md"

RATES = (100, 1_000, 10_000)
DAY = 86_400

# How much of a core is planned with: the rest is for bursts, retries and the loss of a machine.
UTILISATION = 0.6

# Calls of Temporal's frontend for one event with one rule: start, three workflow tasks polled and
# completed, two activities completed; each is polled for as well where it doesn't start eagerly.
CALLS = 9
CALLS_NOT_EAGER = 11
# Defaults of server 1.31 (`common/dynamicconfig/constants.go`): `frontend.rps` per host, and
# `frontend.namespaceRPS` per host and namespace.
FRONTEND_RPS = 2_400

# A shard writes one state transition after the other. One takes a commit of the database, for which
# this is a careful figure on networked storage; a shard should be busy a quarter of its time.
COMMIT_SECONDS = 0.005
SHARD_BUSY = 0.25
FEWEST_SHARDS = 512

# What Customer.io takes from one workspace: 3,000 requests in 3 s, of which a tenth is left free.
VENDOR_RATE = 900
CALLS_OF_VENDOR = 2


@dataclass(frozen=True)
class Costs:
    """Of one event with one rule. CPU in seconds of a core; `stored`: bytes in the engine's files.

    `measured` is False for rough figures that stand in until a benchmark was run.
    """

    engine: float
    worker: float
    emitter: float
    stored: float
    transitions: float
    history_events: float
    measured: bool = True

    @property
    def cpu(self) -> float:
        return self.engine + self.worker + self.emitter


# One burst of 300 on a busy machine; the first run of `make bench` takes its place.
ROUGH = Costs(
    engine=0.0282,
    worker=0.0190,
    emitter=0.0022,
    stored=31_800,
    transitions=9.3,
    history_events=19.4,
    measured=False,
)


@dataclass(frozen=True)
class Need:
    """What `rate` events a second need. Cores and processes are planned at `UTILISATION`."""

    rate: int
    engine_cores: int
    workers: int
    emitters: int
    calls: int
    transitions: int
    shards: int
    bytes_a_day: float
    connections: int

    def retention_days(self, disk: float) -> float:
        """How long `disk` bytes hold everything."""
        return disk / self.bytes_a_day


def needs(costs: Costs, rate: int) -> Need:
    def cores(seconds: float) -> int:
        return math.ceil(rate * seconds / UTILISATION)

    transitions = rate * costs.transitions
    busy = transitions * COMMIT_SECONDS / SHARD_BUSY
    return Need(
        rate=rate,
        engine_cores=cores(costs.engine),
        workers=cores(costs.worker),  # one process uses one core
        emitters=cores(costs.emitter),
        calls=rate * CALLS,
        transitions=round(transitions),
        shards=max(FEWEST_SHARDS, 2 ** math.ceil(math.log2(busy))),
        bytes_a_day=rate * costs.stored * DAY,
        connections=math.ceil(rate * CALLS_OF_VENDOR / VENDOR_RATE),
    )


def limits(costs: Costs) -> list[tuple[str, float]]:
    """Return the events a second at which each limit of the default set-up is reached."""
    return sorted(
        [
            ("one worker process: one core", 1 / costs.worker),
            ("one API process: one core", 1 / costs.emitter),
            ("an engine of 4 cores", 4 / costs.engine),
            ("one connection: Customer.io's own rate", VENDOR_RATE / CALLS_OF_VENDOR),
            ("`frontend.rps` of one host, as it comes, eager", FRONTEND_RPS / CALLS),
            ("`frontend.rps` of one host, as it comes, not eager", FRONTEND_RPS / CALLS_NOT_EAGER),
            ("4 history shards, as in the samples", 4 / COMMIT_SECONDS / costs.transitions),
            (
                "512 history shards, a quarter busy",
                512 * SHARD_BUSY / COMMIT_SECONDS / costs.transitions,
            ),
            ("1 TB for 30 days", 1e12 / costs.stored / DAY / 30),
        ],
        key=lambda limit: limit[1],
    )


def predicted(costs: Costs, cores: int) -> float:
    """Events a second when `cores` cores do everything and nothing waits for anything else."""
    return cores / costs.cpu


def measured_costs(report: dict[str, Any], lane: str = "ours", workload: str = "burst") -> Costs:
    """Medians over the repetitions."""
    samples = chosen(report, lane, workload)

    def median(read: Callable[[dict[str, Any]], float]) -> float:
        return statistics.median(read(sample) for sample in samples)

    def cpu(*roles: str) -> float:
        return median(lambda sample: sum(sample["cpu_per_event"].get(role, 0) for role in roles))

    return Costs(
        engine=cpu("engine", "database"),
        worker=cpu("worker"),
        emitter=cpu("emitter"),
        stored=median(lambda sample: sample["stored_per_event"]),
        transitions=median(lambda sample: sample["more"]["state_transitions"]),
        history_events=median(lambda sample: sample["more"]["history_events"]),
    )


def chosen(report: dict[str, Any], lane: str, workload: str) -> list[dict[str, Any]]:
    return [
        sample
        for sample in report["samples"]
        if sample["lane"] == lane and sample["workload"] == workload
    ]


def main() -> None:
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else None
    costs = measured_costs(report) if report else ROUGH
    tables = {
        "costs": costs_table(costs),
        "limits": limits_table(costs),
        "needs": needs_table(costs),
        "check": check_table(report, costs),
    }
    for name, text in tables.items():
        print(f"\n{name}\n{text}")
    write(PAGE, tables)


def write(page: Path, tables: dict[str, str]) -> None:
    text = page.read_text()
    for name, table in tables.items():
        mark = re.compile(rf"(<!-- {name} -->).*?(<!-- /{name} -->)", re.DOTALL)
        text = mark.sub(lambda found, table=table: f"{found[1]}\n{table}\n{found[2]}", text)
    page.write_text(text)


def costs_table(costs: Costs) -> str:
    rows = [
        ("engine and its database: CPU", f"{costs.engine * 1000:.1f} ms"),
        ("worker: CPU", f"{costs.worker * 1000:.1f} ms"),
        ("emitter: CPU", f"{costs.emitter * 1000:.1f} ms"),
        ("stored", f"{costs.stored / 1000:.1f} KB"),
        ("state transitions", f"{costs.transitions:.1f}"),
        ("history events", f"{costs.history_events:.1f}"),
    ]
    source = (
        "Medians of **emitonce** in a burst, in the last benchmark."
        if costs.measured
        else "Rough: one burst of 300 on a busy machine, until `make bench` has been run."
    )
    return table(("one event, one rule", "costs"), rows) + f"\n\n{source}"


def limits_table(costs: Costs) -> str:
    rows = [(name, f"{rate:,.0f}") for name, rate in limits(costs)]
    return table(("limit", "is met at events/s"), rows)


def needs_table(costs: Costs) -> str:
    plans = [needs(costs, rate) for rate in RATES]
    read: list[tuple[str, Callable[[Need], str]]] = [
        ("cores for the engine and its database", lambda n: f"{n.engine_cores:,}"),
        ("worker processes", lambda n: f"{n.workers:,}"),
        ("API processes, or cores in the emitting backends", lambda n: f"{n.emitters:,}"),
        ("frontend calls a second", lambda n: f"{n.calls:,}"),
        ("state transitions a second", lambda n: f"{n.transitions:,}"),
        ("history shards, at least", lambda n: f"{n.shards:,}"),
        ("connections (Customer.io workspaces), at least", lambda n: f"{n.connections:,}"),
        ("stored a day", lambda n: size(n.bytes_a_day)),
        ("stored in 30 days", lambda n: size(30 * n.bytes_a_day)),
        ("days that 2 TB hold", lambda n: f"{n.retention_days(2e12):,.1f}"),
    ]
    rows = [(name, *(show(plan) for plan in plans)) for name, show in read]
    return table(("events a second", *(f"{rate:,}" for rate in RATES)), rows)


def check_table(report: dict[str, Any] | None, costs: Costs) -> str:
    """What the model says of the benchmark's own machine, beside what was measured there."""
    if report is None:
        return "Not measured yet."
    cores = int(report["machine"]["cores"])
    rows = []
    for name, lane in (
        ("one emitter, one worker", "ours"),
        ("one emitter, two workers", "ours@2-workers"),
        ("two emitters, two workers", "ours@2-of-each"),
    ):
        samples = chosen(report, lane, "burst")
        if not samples:
            continue
        found = statistics.median(sample["events_per_second"] for sample in samples)
        said = predicted(measured_costs(report, lane), cores)
        rows.append((name, f"{said:.1f}", f"{found:.1f}", f"{found / said - 1:+.0%}"))
    heads = (f"burst on {cores} cores", "model, events/s", "measured, events/s", "difference")
    return table(heads, rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def size(count: float) -> str:
    return f"{count / 1e12:,.1f} TB" if count >= 1e12 else f"{count / 1e9:,.0f} GB"


if __name__ == "__main__":
    main()
