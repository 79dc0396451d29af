"""The figures that count: ratios of lanes measured side by side, repetition by repetition."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from bench.measure import Sample

Read = Callable[[Sample], float]


def ratios(samples: Sequence[Sample]) -> dict[str, float]:
    def by_repetition(lane: str, workload: str, read: Read) -> dict[int, float]:
        found: dict[int, list[float]] = {}
        for sample in samples:
            if sample.lane == lane and sample.workload == workload:
                found.setdefault(sample.repetition, []).append(read(sample))
        return {repetition: statistics.mean(values) for repetition, values in found.items()}

    def ratio(of: tuple[str, str], to: tuple[str, str], read: Read) -> float | None:
        """The median of what the repetitions have: lanes within one are measured side by side."""
        mine, theirs = by_repetition(*of, read), by_repetition(*to, read)
        found = [mine[one] / theirs[one] for one in mine.keys() & theirs.keys() if theirs[one]]
        return statistics.median(found) if found else None

    def rate(sample: Sample) -> float:
        return sample.events_per_second

    def end(sample: Sample) -> float:
        return sample.end_to_end_ms["p50"]

    def accept(sample: Sample) -> float:
        return sample.accept_ms["p50"]

    def worker(sample: Sample) -> float:
        return sample.cpu_per_event.get("worker", 0.0)

    def burst(of: str, to: str, read: Read = rate) -> float | None:
        return ratio((of, "burst"), (to, "burst"), read)

    def steady(of: str, to: str, read: Read) -> float | None:
        return ratio((of, "steady-10"), (to, "steady-10"), read)

    apart = steady("ours", "bare", end)
    eager = steady("ours_eager", "bare", end)
    found = {
        "throughput_vs_bare": burst("ours", "bare"),
        "throughput_vs_bare_tuned": burst("ours", "bare_tuned"),
        "e2e_p50_vs_bare": min((r for r in (apart, eager) if r is not None), default=None),
        "e2e_p50_vs_bare_apart": apart,
        "e2e_p50_vs_bare_eager": eager,
        "accept_p50_vs_start_workflow": steady("ours", "bare_tuned", accept),
        "worker_cpu_vs_bare": burst("ours", "bare", worker),
        "rules_100k_vs_10": burst("ours@100k-rules", "ours@10-rules"),
        "two_workers_vs_one": burst("ours@2-workers", "ours"),
        "depth_last_vs_first": ratio(("ours", "depth-last"), ("ours", "depth-first"), rate),
    }
    return {name: round(value, 3) for name, value in found.items() if value is not None}
