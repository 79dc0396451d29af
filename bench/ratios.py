"""The figures that count: ratios of lanes measured in turn in the same run, as medians."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from bench.measure import Sample

Read = Callable[[Sample], float]


def ratios(samples: Sequence[Sample]) -> dict[str, float]:
    def median(lane: str, workload: str, read: Read) -> float | None:
        found = [read(s) for s in samples if s.lane == lane and s.workload == workload]
        return statistics.median(found) if found else None

    def ratio(of: float | None, to: float | None) -> float | None:
        return of / to if of is not None and to else None

    def rate(sample: Sample) -> float:
        return sample.events_per_second

    def end(sample: Sample) -> float:
        return sample.end_to_end_ms["p50"]

    def accept(sample: Sample) -> float:
        return sample.accept_ms["p50"]

    def worker(sample: Sample) -> float:
        return sample.cpu_per_event.get("worker", 0.0)

    apart = ratio(median("ours", "steady-10", end), median("bare", "steady-10", end))
    eager = ratio(median("ours_eager", "steady-10", end), median("bare", "steady-10", end))
    found = {
        "throughput_vs_bare": ratio(median("ours", "burst", rate), median("bare", "burst", rate)),
        "throughput_vs_bare_tuned": ratio(
            median("ours", "burst", rate), median("bare_tuned", "burst", rate)
        ),
        "e2e_p50_vs_bare": min((r for r in (apart, eager) if r is not None), default=None),
        "e2e_p50_vs_bare_apart": apart,
        "e2e_p50_vs_bare_eager": eager,
        "accept_p50_vs_start_workflow": ratio(
            median("ours", "steady-10", accept), median("bare_tuned", "steady-10", accept)
        ),
        "worker_cpu_vs_bare": ratio(
            median("ours", "burst", worker), median("bare", "burst", worker)
        ),
        "rules_100k_vs_10": ratio(
            median("ours@100k-rules", "burst", rate), median("ours@10-rules", "burst", rate)
        ),
        "two_workers_vs_one": ratio(
            median("ours@2-workers", "burst", rate), median("ours", "burst", rate)
        ),
        "depth_last_vs_first": ratio(
            median("ours", "depth-last", rate), median("ours", "depth-first", rate)
        ),
    }
    return {name: round(value, 3) for name, value in found.items() if value is not None}
