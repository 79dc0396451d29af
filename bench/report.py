"""The page of the last run: `docs/benchmarks.md` and its plots, from `bench/results/latest.json`.

python -m bench.report
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from typing import Any

from bench.processes import ROOT

RESULTS = ROOT / "bench" / "results" / "latest.json"
PAGE = ROOT / "docs" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images"
TEXT = ROOT / "bench" / "page.md"

Sample = dict[str, Any]
Read = Callable[[Sample], float | None]

LANES = ("ours", "ours_eager", "bare", "bare_tuned", "dbos", "restate", "outbox")
TARGETS = {
    "throughput_vs_bare": "≥ 1.2",
    "throughput_vs_bare_tuned": "≥ 0.9",
    "e2e_p50_vs_bare": "≤ 0.7",
    "e2e_p50_vs_bare_apart": "≤ 1.0",
    "e2e_p50_vs_bare_eager": "≤ 0.7",
    "accept_p50_vs_start_workflow": "≤ 1.2",
    "worker_cpu_vs_bare": "≤ 1.0",
    "rules_100k_vs_10": "0.9 to 1.1",
    "two_workers_vs_one": "",
    "depth_last_vs_first": "0.9 to 1.1",
}


def main() -> None:
    report = json.loads(RESULTS.read_text())
    samples: list[Sample] = report["samples"]
    page = TEXT.read_text()
    for name, text in {
        "machine": _machine(report),
        "ratios": _ratios(report["ratios"]),
        "burst": _table(samples, "burst"),
        "steady": _steady(samples),
        "faults": _workloads(samples, ("vendor-200ms", "faults")),
        "kill": _kill(samples),
        "cost": _cost(samples),
    }.items():
        page = page.replace(f"<!-- {name} -->", text)
    PAGE.write_text(page)
    _plots(samples)


def _machine(report: dict[str, Any]) -> str:
    facts = report["machine"]
    return (
        f"{facts['cores']} cores ({facts['cpu']}), {facts['memory']} of memory, {facts['system']}, "
        f"Python {facts['python']}; commit `{report['commit'][:12]}`, {report['made_at']}. "
        f"Lost in all runs: **{report['lost']}**."
    )


def _ratios(found: dict[str, float]) -> str:
    rows = [
        f"| `{name}` | {value:.2f} | {TARGETS.get(name, '')} |" for name, value in found.items()
    ]
    return "\n".join(["| ratio | measured | aimed at |", "| --- | --- | --- |", *rows])


def _table(samples: list[Sample], workload: str) -> str:
    lines = [
        "| lane | events/s | accept p50 / p99 ms | end to end p50 / p95 / p99 ms |",
        "| --- | --- | --- | --- |",
    ]
    for lane in _lanes(samples, workload):
        chosen = _of(samples, lane, workload)
        lines.append(
            f"| {lane} | {_spread(chosen, lambda s: s['events_per_second'])} "
            f"| {_pair(chosen, 'accept_ms', ('p50', 'p99'))} "
            f"| {_pair(chosen, 'end_to_end_ms', ('p50', 'p95', 'p99'))} |"
        )
    return "\n".join(lines)


def _steady(samples: list[Sample]) -> str:
    lines = ["| lane | " + " | ".join(f"{rate}/s" for rate in (5, 10, 20, 40)) + " |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for lane in ("ours", "ours_eager", "bare", "bare_tuned"):
        cells = []
        for rate in (5, 10, 20, 40):
            chosen = _of(samples, lane, f"steady-{rate}")
            cells.append(_pair(chosen, "end_to_end_ms", ("p50", "p95")) if chosen else "")
        lines.append(f"| {lane} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _workloads(samples: list[Sample], workloads: tuple[str, ...]) -> str:
    lines = ["| workload | lane | end to end p50 / p95 ms | lost | duplicated |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for workload in workloads:
        for lane in _lanes(samples, workload):
            chosen = _of(samples, lane, workload)
            lines.append(
                f"| {workload} | {lane} | {_pair(chosen, 'end_to_end_ms', ('p50', 'p95'))} "
                f"| {sum(s['lost'] for s in chosen)} | {sum(s['duplicated'] for s in chosen)} |"
            )
    return "\n".join(lines)


def _kill(samples: list[Sample]) -> str:
    lines = ["| lane | lost | tracked twice | drained, events/s |", "| --- | --- | --- | --- |"]
    for lane in _lanes(samples, "kill"):
        chosen = _of(samples, lane, "kill")
        lines.append(
            f"| {lane} | {sum(s['lost'] for s in chosen)} | {sum(s['duplicated'] for s in chosen)} "
            f"| {_spread(chosen, lambda s: s['events_per_second'])} |"
        )
    return "\n".join(lines)


def _cost(samples: list[Sample]) -> str:
    lines = [
        "| lane | engine CPU ms | worker CPU ms | emitter CPU ms | stored bytes "
        "| history events | state transitions | worker RSS MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for lane in _lanes(samples, "burst"):
        chosen = _of(samples, lane, "burst")
        cpu = [
            _median(chosen, lambda s, role=role: _ms(s["cpu_per_event"].get(role)))
            for role in ("engine", "worker", "emitter")
        ]
        more = [
            _median(chosen, lambda s, name=name: s["more"].get(name))
            for name in ("history_events", "state_transitions")
        ]
        rss = _median(chosen, lambda s: s["rss"].get("worker", 0) / 1e6)
        stored = _median(chosen, lambda s: s["stored_per_event"])
        cells = [*(_cell(value, 1) for value in cpu), _cell(stored, 0)]
        cells += [*(_cell(value, 1) for value in more), _cell(rss, 0)]
        lines.append(f"| {lane} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _of(samples: list[Sample], lane: str, workload: str) -> list[Sample]:
    return [s for s in samples if s["lane"] == lane and s["workload"] == workload]


def _lanes(samples: list[Sample], workload: str) -> list[str]:
    found = {s["lane"] for s in samples if s["workload"] == workload}
    known = [lane for lane in LANES if lane in found]
    return known + sorted(found - set(known))


def _median(samples: list[Sample], read: Read) -> float | None:
    values = [value for s in samples if (value := read(s)) is not None]
    return statistics.median(values) if values else None


def _spread(samples: list[Sample], read: Read) -> str:
    values = sorted(value for s in samples if (value := read(s)) is not None)
    if not values:
        return ""
    middle = statistics.median(values)
    return f"{middle:.1f} ({values[0]:.1f} to {values[-1]:.1f})"


def _pair(samples: list[Sample], group: str, names: tuple[str, ...]) -> str:
    found = [_median(samples, lambda s, name=name: s[group].get(name)) for name in names]
    return " / ".join(_cell(value, 0 if (value or 0) >= 10 else 1) for value in found)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _plots(samples: list[Sample]) -> None:
    import matplotlib as plotting

    plotting.use("Agg")
    from matplotlib import pyplot

    IMAGES.mkdir(parents=True, exist_ok=True)
    lanes = _lanes(samples, "burst")
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4))
    rates = [
        _median(_of(samples, lane, "burst"), lambda s: s["events_per_second"]) for lane in lanes
    ]
    axes[0].barh(lanes[::-1], rates[::-1], color="#4f6df5")
    axes[0].set_title("Burst of 1,000: events a second")
    for lane, colour in (
        ("ours", "#4f6df5"),
        ("ours_eager", "#1f9d76"),
        ("bare", "#c2410c"),
        ("bare_tuned", "#8a8f98"),
    ):
        points = [
            (
                rate,
                _median(_of(samples, lane, f"steady-{rate}"), lambda s: s["end_to_end_ms"]["p50"]),
            )
            for rate in (5, 10, 20, 40)
        ]
        points = [point for point in points if point[1] is not None]
        if points:
            axes[1].plot(*zip(*points, strict=True), marker="o", label=lane, color=colour)
    axes[1].set_yscale("log")
    axes[1].set_xlabel("events a second, open model")
    axes[1].set_title("End to end, p50 in ms")
    axes[1].legend()
    figure.tight_layout()
    figure.savefig(IMAGES / "benchmarks.png", dpi=110)


if __name__ == "__main__":
    main()
