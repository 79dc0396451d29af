"""The page of the last run: `docs/benchmarks.md` and its plots, from `bench/results/latest.json`.

python -m bench.report
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from bench.measure import Sample
from bench.plots import LABELS, largest_herd, plot
from bench.processes import ROOT
from bench.ratios import by_repetition, same_vs_same

RESULTS = ROOT / "bench" / "results" / "latest.json"
PAGE = ROOT / "docs" / "benchmarks.md"
TEXT = ROOT / "bench" / "page.md"

Read = Callable[[Sample], float | None]

INF = math.inf

NAMES = LABELS | {
    "ours": "**emitonce**",
    "ours_eager": "emitonce, in the emitter's process",
    "ours@100k-rules": "emitonce, 100,000 rules",
    "ours@2-workers": "emitonce, two workers",
    "ours@2-of-each": "emitonce, two emitters, two workers",
}
WORKLOADS = {"vendor-200ms": "slow vendor (200 ms)", "faults": "7 % refused"}
# What each ratio says, and between which bounds it should be, in the order of the page.
AIMS: dict[str, tuple[str, float, float]] = {
    "throughput_vs_bare_tuned": ("events a second, vs. Temporal alone, tuned", 0.92, INF),
    "worker_cpu_vs_bare_tuned": ("worker CPU an event, vs. Temporal alone, tuned", 0, 1.15),
    "engine_cpu_vs_bare_tuned": ("engine CPU an event, vs. Temporal alone, tuned", 0, 1.08),
    "e2e_p50_vs_bare_tuned": ("time to the vendor, vs. Temporal alone, tuned", 0, INF),
    "accept_p50_vs_start_workflow": ("accepting, vs. a plain `start_workflow`", 0, 1.2),
    "faults_p50_vs_bare_tuned": ("time to a vendor that refuses 7 % at random, vs. tuned", 0, 2.0),
    "kill_drain_vs_undisturbed": ("draining after a kill, vs. an undisturbed burst", 0.7, INF),
    "kill_seconds_to_resume": ("seconds until calls cut off by the kill are made again", 0, 15),
    "rules_100k_vs_10": ("events a second with 100,000 rules, vs. 10", 0.9, 1.1),
    "two_workers_vs_one": ("events a second with two workers on these cores, vs. one", 0, INF),
    "depth_last_vs_first": ("events a second, the last of a long queue vs. the first", 0.95, INF),
    "list_100k_vs_1k": ("listing among 100,000 events, vs. 1,000", 0, 1.2),
    "throughput_vs_bare": ("events a second, vs. Temporal alone, default settings", 1.2, INF),
    "worker_cpu_vs_bare": ("worker CPU an event, vs. default settings", 0, 1.0),
    "e2e_p50_vs_bare_apart": ("time to the vendor, vs. default settings", 0, 1.0),
    "e2e_p50_vs_bare_eager": ("… with emitter and worker in one process", 0, 0.7),
}  # fmt: skip
READS = (
    *("log", "list", "list of a person", "console: events", "console: rows"),
    *("console: counts and charts", "console: one event"),
)


HERD_STAGES = {
    "quiet": "before",
    "accepting": "while they come in",
    "waiting": "while they wait",
    "draining": "while they are delivered",
}
HERD_BESIDE = {
    "beside_ms": "an event of another name",
    "beside_same_name_ms": "an event of the herd's name",
}


def main() -> None:
    report = json.loads(RESULTS.read_text())
    samples = [Sample(**sample) for sample in report["samples"]]
    page = TEXT.read_text()
    for name, text in {
        "machine": _machine(report, samples),
        "answer": _answer(samples),
        "ratios": _ratios(samples),
        "same": _same(samples),
        "burst": _burst(samples),
        "steady": _steady(samples),
        "faults": _workloads(samples, ("vendor-200ms", "faults")),
        "kill": _kill(samples),
        "herd": _herd(),
        "reads": _reads(samples),
        "tabs": _tabs(samples),
        "cost": _cost(samples),
    }.items():
        page = page.replace(f"<!-- {name} -->", text)
    PAGE.write_text(page)
    plot(samples)


def _machine(report: dict[str, Any], samples: Sequence[Sample]) -> str:
    facts = report["machine"]
    earlier: dict[str, set[str]] = {}
    for sample in samples:
        if sample.commit not in ("", report["commit"]):
            earlier.setdefault(sample.commit[:12], set()).add(sample.workload)
    others = "; ".join(f"`{one}`: {', '.join(sorted(what))}" for one, what in earlier.items())
    return (
        f"{facts['cores']} cores ({facts['cpu']}), {facts['memory']} of memory, {facts['system']}, "
        f"Python {facts['python']}; commit `{report['commit'][:12]}`"
        f"{f' ({others})' if others else ''}, {report['made_at']}. "
        f"Lost in all runs: **{report['lost']}**."
    )


def _answer(samples: Sequence[Sample]) -> str:
    rows = []
    for lane, keeps in (
        ("ours", "every request, answer and attempt; encrypted; searchable by event and person"),
        ("bare_tuned", "inputs and results of each step, its last failure"),
        ("dbos", "the input, the result of each step"),
        ("restate", "the input, the result of each step"),
        ("outbox", "the payload, and a flag that says done"),
    ):
        burst = _of(samples, lane, "burst")
        if burst:
            rows.append(
                (
                    NAMES[lane],
                    _cell(_median(burst, lambda s: s.events_per_second), 0),
                    _cell(_median(burst, _all_cpu), 1),
                    _cell(_median(burst, lambda s: s.stored_per_event / 1000), 1),
                    keeps,
                )
            )
    heads = (
        *("set-up", "events/s in a burst", "CPU ms an event", "KB stored an event"),
        "what is kept",
    )
    return _table(heads, rows)


def _ratios(samples: Sequence[Sample]) -> str:
    rows = []
    measured = by_repetition(samples)
    for name, (says, least, most) in AIMS.items():
        if name not in measured:
            continue
        found = measured[name]
        if name == "depth_last_vs_first" and (other := _depth(samples, "bare_tuned")):
            says = f"{says} (Temporal alone, tuned: {other:.2f})"
        middle = statistics.median(found)
        spread = f"{min(found):.2f} to {max(found):.2f}" if len(found) > 1 else "one run"
        rows.append(
            (says, f"`{name}`", f"**{middle:.2f}**", spread, *_reached(middle, least, most))
        )
    return _table(("what", "name", "measured", "spread", "aim", "reached"), rows)


def _depth(samples: Sequence[Sample], lane: str) -> float | None:
    first, last = (
        [s.events_per_second for s in _of(samples, lane, f"depth-{part}")]
        for part in ("first", "last")
    )
    return statistics.mean(last) / statistics.mean(first) if first and last else None


def _reached(value: float, least: float, most: float) -> tuple[str, str]:
    bounds = ([f"≥ {least}"] if least else []) + ([f"≤ {most}"] if most < INF else [])
    if not bounds:
        return "", ""
    return ", ".join(bounds), "yes" if least <= round(value, 2) <= most else "**no**"


def _same(samples: Sequence[Sample]) -> str:
    """A median of n values has about 1.25 times the standard error of their mean."""
    rows = []
    for name, found in same_vs_same(samples).items():
        if len(found) < 2:
            continue
        least = 2 * 1.25 * statistics.stdev(found) / math.sqrt(len(found))
        spread = f"{min(found):.2f} to {max(found):.2f}"
        rows.append((name, f"{statistics.median(found):.2f}", spread, f"{100 * least:.0f} %"))
    heads = ("emitonce vs. itself", "measured", "spread", "differences below this are noise")
    return _table(heads, rows)


def _burst(samples: Sequence[Sample]) -> str:
    rows = []
    for lane in _lanes(samples, "burst"):
        chosen = _of(samples, lane, "burst")
        rows.append(
            (
                _name(lane),
                _spread(chosen, lambda s: s.events_per_second),
                _ranks(chosen, "accept_ms", ("p50", "p99")),
                _ranks(chosen, "end_to_end_ms", ("p50", "p95", "p99")),
            )
        )
    heads = ("set-up", "events/s", "accepted: p50 / p99 ms", "at the vendor: p50 / p95 / p99 ms")
    return _table(heads, rows)


def _steady(samples: Sequence[Sample]) -> str:
    rows = [
        (
            NAMES[lane],
            *(
                _ranks(_of(samples, lane, workload), "end_to_end_ms", ("p50", "p95"))
                for workload in ("steady-10", "steady-40")
            ),
        )
        for lane in ("ours", "ours_eager", "bare_tuned", "bare")
    ]
    return _table(("at the vendor, p50 / p95 ms", "10 events/s", "40 events/s"), rows)


def _workloads(samples: Sequence[Sample], workloads: tuple[str, ...]) -> str:
    rows = []
    for workload in workloads:
        for lane in _lanes(samples, workload):
            chosen = _of(samples, lane, workload)
            rows.append(
                (
                    WORKLOADS[workload],
                    _name(lane),
                    _ranks(chosen, "end_to_end_ms", ("p50", "p95")),
                    str(sum(s.lost for s in chosen)),
                    str(sum(s.duplicated for s in chosen)),
                )
            )
    heads = ("workload", "set-up", "at the vendor: p50 / p95 ms", "lost", "tracked twice")
    return _table(heads, rows)


def _kill(samples: Sequence[Sample]) -> str:
    rows = []
    for lane in _lanes(samples, "kill"):
        chosen = _of(samples, lane, "kill")
        rows.append(
            (
                _name(lane),
                str(len(chosen)),
                str(sum(s.lost for s in chosen)),
                ", ".join(str(s.duplicated) for s in chosen),
                _spread(chosen, lambda s: s.more.get("resumed_seconds")),
                _spread(chosen, lambda s: s.more.get("drain_per_second")),
            )
        )
    heads = (
        *("set-up", "runs", "lost", "tracked twice, by run"),
        *("made again after, s", "the rest drained at, events/s"),
    )
    return _table(heads, rows)


def _herd() -> str:
    herd = largest_herd()
    if herd is None:
        return ""
    rows = [
        (
            "events that waited, and for how long",
            f"{herd['events']:,}, {herd['away_seconds'] / 60:.0f} min",
        ),
        ("requests made meanwhile", f"{herd['tries_while_away']:,}"),
        ("lost", str(herd["lost"])),
        (
            "all delivered after",
            f"{herd['drain_seconds']:.0f} s, {herd['drained_per_second']} events/s",
        ),
        ("most memory: engine, worker", f"{herd['engine_mb']:.0f} MB, {herd['worker_mb']:.0f} MB"),
        ("list of events, p50 / p99", _pair_of(herd["reads_ms"], "list")),
        ("log of an event, p50 / p99", _pair_of(herd["reads_ms"], "log")),
        ("page of events in the console, p50 / p99", _pair_of(herd["reads_ms"], "console: events")),
    ]
    beside = [
        (says, *(_beside(herd.get(key, {}).get(stage)) for key in HERD_BESIDE))
        for stage, says in HERD_STAGES.items()
    ]
    heads = ("to another connection, p50 / p95 ms (of how many)", *HERD_BESIDE.values())
    return f"{_table(('the herd', 'measured'), rows)}\n\n{_table(heads, beside)}"


def _beside(ms: dict[str, float] | None) -> str:
    return f"{ms['p50']:,.0f} / {ms['p95']:,.0f} ({ms['events']})" if ms else ""


def _pair_of(reads: dict[str, float], what: str) -> str:
    return f"{reads[f'{what} p50']:.0f} / {reads[f'{what} p99']:.0f} ms"


def _reads(samples: Sequence[Sample]) -> str:
    found = _reading(samples)
    rows = [
        (
            what,
            *(f"{s.more[f'{what} p50']:.0f} / {s.more[f'{what} p99']:.0f}" for s in found.values()),
        )
        for what in READS
    ]
    return _table(("p50 / p99 ms", *found), rows)


def _tabs(samples: Sequence[Sample]) -> str:
    found = _reading(samples)
    rows = [
        (role, *(f"{100 * s.more[f'tabs: share of a core, {role}']:.0f} %" for s in found.values()))
        for role in ("API", "engine")
    ]
    return _table(("share of a core", *found), rows)


def _reading(samples: Sequence[Sample]) -> dict[str, Sample]:
    """By how much is stored, as a table's head says it."""
    found = {s.workload.removeprefix("reads-"): s for s in samples if s.workload[:6] == "reads-"}
    return {
        f"{int(many):,} stored" if many.isdigit() else f"{s.count:,} under way": s
        for many, s in found.items()
    }


def _cost(samples: Sequence[Sample]) -> str:
    rows = []
    for lane in [*LABELS, "ours_eager"]:
        chosen = _of(samples, lane, "burst")
        if not chosen:
            continue
        cpu = [
            _median(chosen, lambda s, role=role: _ms(s.cpu_per_event.get(role)))
            for role in ("engine", "worker", "emitter")
        ]
        more = [
            _median(chosen, lambda s, name=name: s.more.get(name))
            for name in ("history_events", "state_transitions")
        ]
        rss = _median(chosen, lambda s: s.rss.get("worker", 0) / 1e6)
        cells = [*(_cell(value, 1) for value in [*cpu, *more]), _cell(rss or None, 0)]
        rows.append((_name(lane), *cells))
    heads = (
        *("set-up", "engine CPU ms", "worker CPU ms", "emitter CPU ms"),
        *("history events", "state transitions", "worker RSS MB"),
    )
    return _table(heads, rows)


def _all_cpu(sample: Sample) -> float:
    return 1000 * sum(sample.cpu_per_event.values())


def _of(samples: Sequence[Sample], lane: str, workload: str) -> list[Sample]:
    return [s for s in samples if (s.lane, s.workload) == (lane, workload)]


def _lanes(samples: Sequence[Sample], workload: str) -> list[str]:
    found = {s.lane for s in samples if s.workload == workload}
    return [*(lane for lane in NAMES if lane in found), *sorted(found - NAMES.keys())]


def _name(lane: str) -> str:
    return NAMES.get(lane, lane)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) if rows else "Not measured yet."


def _median(samples: Sequence[Sample], read: Read) -> float | None:
    values = [value for s in samples if (value := read(s)) is not None]
    return statistics.median(values) if values else None


def _spread(samples: Sequence[Sample], read: Read) -> str:
    values = sorted(value for s in samples if (value := read(s)) is not None)
    if not values:
        return ""
    middle = f"{statistics.median(values):,.1f}"
    return middle if len(values) == 1 else f"{middle} ({values[0]:,.1f} to {values[-1]:,.1f})"


def _ranks(samples: Sequence[Sample], group: str, names: tuple[str, ...]) -> str:
    if not samples:
        return ""
    found = [_median(samples, lambda s, name=name: getattr(s, group).get(name)) for name in names]
    return " / ".join(_cell(value, 0 if (value or 0) >= 10 else 1) for value in found)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


if __name__ == "__main__":
    main()
