"""Run the benchmark.

    python -m bench [--quick | --long] [--lanes ours,bare] [--workloads burst] [--repetitions 3]

Prints each measurement as it is made; writes `bench/results/latest.json`.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from bench import workload as work
from bench.facts import commit, machine
from bench.lane import Unavailable
from bench.measure import Sample, StandIn, measure, settle
from bench.processes import Process, python
from bench.ratios import ratios
from bench.workload import Workload
from starter.dev.temporal_server import free_port

RESULTS = Path(__file__).parent / "results" / "latest.json"

# Which lanes do which workloads; the variants of ours stand for themselves.
COMPARED = ("ours", "bare", "bare_tuned")
OTHERS = ("dbos", "restate", "outbox")
EAGER = "ours_eager"
RULES: dict[str, dict[str, Any]] = {
    "ours@10-rules": {"rules": 10},
    "ours@100k-rules": {"rules": 100_000},
}
MORE: dict[str, dict[str, Any]] = {
    "ours@2-workers": {"workers": 2},
    "ours@2-of-each": {"workers": 2, "emitters": 2},
}


def plan(repetitions: int, *, quick: bool, long: bool = False) -> list[tuple[int, str, Workload]]:
    """Every measurement in order, each with its repetition: lanes in turn within a workload.

    What ratios are drawn from is measured in every repetition, the rest in two unless `long`, and
    the other engines in the first.
    """
    drawn_from = (work.BURST, work.STEADY_10)
    everywhere = [work.BURST, *work.STEADY, work.SLOW_VENDOR, work.FAULTY, work.KILLED]
    if quick:
        everywhere = [replace(work.BURST, count=300), work.STEADY_10, work.KILLED]
    made: list[tuple[int, str, Workload]] = []
    for repetition in range(repetitions):
        for workload in everywhere:
            if repetition > 1 and workload not in drawn_from and not long:
                continue
            chance = random.Random(f"{repetition}-{workload.name}")
            lanes = _shuffled(COMPARED, chance)
            if workload.name == "burst":
                # There and back, so that a machine that gets slower in the meantime favours none.
                lanes = [*(lane for lane in lanes if lane != "bare"), "bare"]
                lanes += lanes[-2::-1]
                rules = _shuffled(RULES, chance)
                lanes += [*rules, *reversed(rules), EAGER, *MORE]
            if workload.name == "steady-10":
                lanes.append(EAGER)
            if workload.name in ("burst", "kill") and (repetition == 0 or long):
                lanes += OTHERS
            made += [(repetition, lane, workload) for lane in lanes]
    return made


def _shuffled(lanes: Iterable[str], chance: random.Random) -> list[str]:
    return chance.sample(list(lanes), len(lanes))


def main() -> None:
    arguments = _arguments()
    chosen = [
        (repetition, lane, workload)
        for repetition, lane, workload in plan(
            arguments.repetitions, quick=arguments.quick, long=arguments.long
        )
        if lane in (arguments.lanes or [lane])
        and workload.name in (arguments.workloads or [workload.name])
    ]
    vendor = _stand_in()
    samples: list[Sample] = []
    try:
        if chosen:
            # Whatever comes first is up to a third slower than when it comes again; none should be.
            _, lane, workload = chosen[0]
            _one(lane, workload, vendor, number=len(chosen))
        for number, (repetition, lane, workload) in enumerate(chosen):
            sample = _one(lane, workload, vendor, number)
            if sample is not None:
                sample.repetition = repetition
                samples.append(sample)
                _tell(number, len(chosen), sample)
                _write(arguments.output, samples)
        if not arguments.quick and not arguments.lanes:
            samples += depth(vendor)
            _write(arguments.output, samples)
    finally:
        vendor.process.stop()
    print(json.dumps(ratios(samples), indent=1))


def _write(output: Path, samples: list[Sample]) -> None:
    """After each measurement, so that a run that is cut off leaves what it has."""
    report = {
        "machine": machine(),
        "commit": commit(),
        "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "samples": [sample.as_json() for sample in samples],
        "ratios": ratios(samples),
        "lost": sum(sample.lost for sample in samples),
    }
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(report, indent=1) + "\n")


def depth(vendor: StandIn, count: int = 20_000, last: int = 1_000) -> list[Sample]:
    """The first and the last 1,000 of 20,000 events, in one lane that is kept up.

    The first 1,000 are measured once more in another lane behind it: minutes lie between first and
    last, and a machine's speed is not the same at both ends.
    """
    parts = {"depth-first": last, "depth-between": count - 2 * last, "depth-last": last}
    return _parts_in_one_lane(vendor, parts) + _parts_in_one_lane(vendor, {"depth-first": last})


def _parts_in_one_lane(vendor: StandIn, parts: dict[str, int]) -> list[Sample]:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        started = import_module("bench.lanes.ours").start(Path(directory), f"{vendor.url}/v1")
        try:
            made = []
            for part, size in parts.items():
                made.append(measure(started, Workload(part, size), vendor, part, seed=1))
                _tell(0, 0, made[-1])
                settle(started.engine)
            return made
        finally:
            started.stop()


def _one(lane: str, workload: Workload, vendor: StandIn, number: int) -> Sample | None:
    module = import_module(f"bench.lanes.{lane.partition('@')[0]}")
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        started = module.start(directory, f"{vendor.url}/v1", **(RULES | MORE).get(lane, {}))
    except Unavailable as err:
        print(f"left out {lane}: {err}", file=sys.stderr)
        shutil.rmtree(directory, ignore_errors=True)
        return None
    started.name = lane
    try:
        return measure(started, workload, vendor, f"r{number}", seed=number)
    finally:
        started.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _stand_in() -> StandIn:
    port = free_port()
    process = Process.start("vendor", python("bench.stand_in", str(port)))
    return StandIn(process, f"http://127.0.0.1:{port}")


def _tell(number: int, of: int, sample: Sample) -> None:
    cpu = ", ".join(f"{role} {1000 * s:.1f}" for role, s in sample.cpu_per_event.items())
    print(
        f"{number + 1}/{of} {sample.workload:<14} {sample.lane:<16} "
        f"{sample.events_per_second:6.1f}/s  accept p50 {sample.accept_ms['p50']:7.1f} ms  "
        f"end-to-end p50 {sample.end_to_end_ms.get('p50', 0):8.1f} "
        f"p95 {sample.end_to_end_ms.get('p95', 0):8.1f} ms  "
        f"lost {sample.lost} twice {sample.duplicated}  cpu ms/event: {cpu}",
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--long", action="store_true", help="every workload in every repetition")
    parser.add_argument("--lanes", type=lambda text: text.split(","))
    parser.add_argument("--workloads", type=lambda text: text.split(","))
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
