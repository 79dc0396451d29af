"""The figures that count: ratios of lanes measured side by side, repetition by repetition."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from bench.measure import Sample

Read = Callable[[Sample], float | None]
Of = tuple[str, str]  # a lane and a workload


def ratios(samples: Sequence[Sample]) -> dict[str, float]:
    """The median of what the repetitions have."""
    return {
        name: round(statistics.median(found), 3) for name, found in by_repetition(samples).items()
    }


def by_repetition(samples: Sequence[Sample]) -> dict[str, list[float]]:
    """Each ratio as every repetition has it: lanes within one are measured side by side."""

    def values(of: Of, read: Read) -> dict[int, float]:
        found: dict[int, list[float]] = {}
        for sample in samples:
            value = read(sample) if (sample.lane, sample.workload) == of else None
            if value is not None:
                found.setdefault(sample.repetition, []).append(value)
        return {repetition: statistics.mean(several) for repetition, several in found.items()}

    def ratio(of: Of, to: Of, read: Read, read_to: Read | None = None) -> list[float]:
        mine, theirs = values(of, read), values(to, read_to or read)
        return [mine[one] / theirs[one] for one in sorted(mine.keys() & theirs.keys())]

    def beside(lane: str, other: str, workload: str, read: Read) -> list[float]:
        return ratio((lane, workload), (other, workload), read)

    apart = beside("ours", "bare", "steady-10", _end)
    eager = beside("ours_eager", "bare", "steady-10", _end)
    found = {
        "throughput_vs_bare": beside("ours", "bare", "burst", _rate),
        "throughput_vs_bare_tuned": beside("ours", "bare_tuned", "pair", _rate),
        "worker_cpu_vs_bare_tuned": beside("ours", "bare_tuned", "pair", _cpu("worker")),
        "engine_cpu_vs_bare_tuned": beside("ours", "bare_tuned", "pair", _cpu("engine")),
        "e2e_p50_vs_bare": min(apart, eager, key=_median_or_infinite),
        "e2e_p50_vs_bare_apart": apart,
        "e2e_p50_vs_bare_eager": eager,
        "e2e_p50_vs_bare_tuned": beside("ours", "bare_tuned", "steady-10", _end),
        "accept_p50_vs_start_workflow": beside("ours", "bare_tuned", "steady-10", _accept),
        "worker_cpu_vs_bare": beside("ours", "bare", "burst", _cpu("worker")),
        "faults_p50_vs_bare_tuned": beside("ours", "bare_tuned", "faults", _end),
        "kill_drain_vs_undisturbed": ratio(
            ("ours", "kill"), ("ours", "burst"), _more("drain_per_second"), _rate
        ),
        "kill_seconds_to_resume": list(values(("ours", "kill"), _more("resumed_seconds")).values()),
        "rules_100k_vs_10": beside("ours@100k-rules", "ours", "burst", _rate),
        "two_workers_vs_one": beside("ours@2-workers", "ours", "burst", _rate),
        "depth_last_vs_first": ratio(("ours", "depth-last"), ("ours", "depth-first"), _rate),
        "list_100k_vs_1k": ratio(
            ("ours", "reads-100000"), ("ours", "reads-1000"), _more("list p50")
        ),
    }
    return {name: values for name, values in found.items() if values}


def same_vs_same(samples: Sequence[Sample]) -> dict[str, list[float]]:
    """What two lanes of the same code differ by, pair by pair: no difference is real."""
    pairs: dict[int, dict[str, Sample]] = {}
    for sample in samples:
        if sample.workload == "pair":
            pairs.setdefault(sample.repetition, {})[sample.lane] = sample
    both = [pair for pair in pairs.values() if {"ours", "ours@again"} <= pair.keys()]
    reads = {"events a second": _rate, "worker CPU": _cpu("worker"), "engine CPU": _cpu("engine")}
    return {
        name: [(read(pair["ours@again"]) or 0) / (read(pair["ours"]) or 1) for pair in both]
        for name, read in reads.items()
        if both
    }


def _rate(sample: Sample) -> float:
    return sample.events_per_second


def _end(sample: Sample) -> float | None:
    return sample.end_to_end_ms.get("p50")


def _accept(sample: Sample) -> float | None:
    return sample.accept_ms.get("p50")


def _cpu(role: str) -> Read:
    return lambda sample: sample.cpu_per_event.get(role)


def _more(name: str) -> Read:
    return lambda sample: sample.more.get(name)


def _median_or_infinite(values: list[float]) -> float:
    return statistics.median(values) if values else float("inf")
