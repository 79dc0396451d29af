"""What the benchmark says comes from its samples: ratios, a kill's cost, lanes made again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import Report
from bench.measure import Sample, after_the_kill
from bench.ratios import by_repetition, ratios
from bench.report import AIMS

SECOND = 1_000_000_000


def pair(lane: str, repetition: int, rate: float, worker: float) -> Sample:
    return Sample(
        lane,
        "pair",
        300,
        repetition=repetition,
        events_per_second=rate,
        accept_ms={"p50": 2.0},
        cpu_per_event={"worker": worker, "engine": 0.01},
    )


def test_a_ratio_compares_lanes_within_a_repetition_only() -> None:
    samples = [
        *(pair("ours", 0, 80, 0.009), pair("bare_tuned", 0, 100, 0.006)),
        *(pair("ours", 1, 45, 0.008), pair("bare_tuned", 1, 50, 0.008)),
        pair("ours", 2, 1, 1),  # nothing stands beside it
    ]
    found = by_repetition(samples)
    assert found["throughput_vs_bare_tuned"] == [0.8, 0.9]
    assert ratios(samples)["worker_cpu_vs_bare_tuned"] == pytest.approx(1.25)
    assert found.keys() <= AIMS.keys()


def test_a_kill_is_said_to_cost_until_its_calls_are_made_again() -> None:
    seen = [
        *(("identify", "r-0", 1 * SECOND, 200), ("track", "r-0", 2 * SECOND, 200)),
        ("identify", "r-1", 3 * SECOND, 200),  # cut off: nobody heard the answer
        *(("identify", "r-1", 16 * SECOND, 200), ("track", "r-1", 17 * SECOND, 200)),
        ("track", "r-warm0-0", 18 * SECOND, 200),
    ]
    more, curve = after_the_kill(seen, 4 * SECOND, "r", [0])
    assert more["resumed_seconds"] == 12
    assert more["drain_per_second"] == pytest.approx(1 / 13)
    assert curve[3:5] == [0, 1]
    assert curve[-1] == 2


def test_a_lane_that_is_measured_again_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    output = tmp_path / "latest.json"
    whole = Report(output, keep=False)
    for sample in (pair("ours", 0, 80, 0.009), pair("bare_tuned", 0, 100, 0.006)):
        whole.add(sample)
    again = Report(output, keep=True)
    for repetition in range(2):
        again.add(pair("ours", repetition, 90, 0.007))
    stored = json.loads(output.read_text())
    assert stored.keys() == {"machine", "commit", "made_at", "samples", "ratios", "lost"}
    rates = [(one["lane"], one["events_per_second"]) for one in stored["samples"]]
    assert sorted(rates) == [("bare_tuned", 100), ("ours", 90), ("ours", 90)]
    assert stored["ratios"]["throughput_vs_bare_tuned"] == 0.9
