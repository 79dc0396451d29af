"""Run the benchmark.

    python -m bench [--quick | --long] [--lanes ours,restate] [--workloads burst,reads]

Prints each measurement as it is made; writes `bench/results/latest.json`. With `--lanes` or
`--workloads` only those are measured, and take the place of what the file has of them.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from bench import workload as work
from bench.facts import commit, machine
from bench.lane import Lane, Unavailable
from bench.measure import Sample, StandIn, measure, settle
from bench.processes import Process, python
from bench.ratios import by_repetition, ratios
from bench.reads import STORED, reads
from bench.workload import Workload
from starter.dev.temporal_server import free_port

RESULTS = Path(__file__).parent / "results" / "latest.json"

COMPARED = ("ours", "bare", "bare_tuned")
TUNED = ("ours", "bare_tuned")
OTHERS = ("dbos", "restate", "outbox")
EAGER = "ours_eager"
# Variants of ours, which stand for themselves.
VARIANTS: dict[str, dict[str, Any]] = {
    "ours@100k-rules": {"rules": 100_000},
    "ours@2-workers": {"workers": 2},
    "ours@2-of-each": {"workers": 2, "emitters": 2},
}
# Kept up together and given bursts in turn; the last is the first once more.
PAIRED = ("ours", "bare_tuned", "ours@again")
PAIRS = 7
IN_A_LANE = ("pair", "depth", "reads")

Planned = tuple[int, str, Workload]


def plan(repetitions: int, *, quick: bool, long: bool) -> list[Planned]:
    """Every measurement of a lane of its own, in order: lanes in turn within a workload."""
    few = repetitions if long else 1
    lanes: list[tuple[Workload, tuple[str, ...], int]] = [
        (work.BURST, (*COMPARED, *OTHERS), repetitions),
        (work.BURST, (EAGER, *VARIANTS), few),
        (work.STEADY_10, (*COMPARED, EAGER), repetitions),
        (work.FAULTY, TUNED, repetitions),
        (work.KILLED, (*TUNED, *OTHERS) if long else TUNED, repetitions),
        (work.STEADY_40, TUNED, few),
        (work.SLOW_VENDOR, TUNED, few),
    ]
    if quick:
        lanes = [(replace(one, count=60), those, 1) for one, those, _ in lanes]
    return [
        (repetition, lane, workload)
        for repetition in range(repetitions)
        for workload, those, times in lanes
        if repetition < times
        for lane in _shuffled(those, random.Random(f"{repetition}-{workload.name}"))
    ]


def _shuffled(lanes: Iterable[str], chance: random.Random) -> list[str]:
    return chance.sample(list(lanes), len(list(lanes)))


def main() -> None:
    given = _arguments()
    chosen = [
        one
        for one in plan(given.repetitions, quick=given.quick, long=given.long)
        if one[1] in (given.lanes or [one[1]]) and one[2].name in given.workloads
    ]
    whole = [part for part in IN_A_LANE if part in given.workloads and not given.lanes]
    vendor = _stand_in()
    report = Report(given.output, keep=bool(given.lanes) or given.workloads != WORKLOADS)
    try:
        if "pair" in whole:
            for sample in pairs(vendor, 2 if given.quick else PAIRS, 50 if given.quick else 300):
                report.add(sample)
        if "reads" in whole:
            for sample in reads(vendor, (1, 100) if given.quick else STORED):
                report.add(sample)
        if chosen:
            # Whatever comes first is up to a third slower than when it comes again; none should be.
            _, lane, workload = chosen[0]
            _one(lane, replace(workload, count=min(workload.count, 100)), vendor, len(chosen))
        for number, (repetition, lane, workload) in enumerate(chosen):
            sample = _one(lane, workload, vendor, number)
            if sample is not None:
                sample.repetition = repetition
                report.add(sample, f"{number + 1}/{len(chosen)}")
        if "depth" in whole and not given.quick:
            for sample in depth(vendor, 20_000 if given.long else 10_000):
                report.add(sample)
    finally:
        vendor.process.stop()
    for name, values in by_repetition(report.samples).items():
        print(f"{name:<32} {report.ratios[name]:7.3f}  {min(values):.3f} to {max(values):.3f}")


class Report:
    """Written after each measurement, so that a run that is cut off leaves what it has."""

    def __init__(self, output: Path, *, keep: bool) -> None:
        self._output = output
        self._commit = commit()
        self._made: set[tuple[str, str]] = set()
        self.samples: list[Sample] = []
        self.ratios: dict[str, float] = {}
        if keep and output.exists():
            before = json.loads(output.read_text())
            self.samples = [
                Sample(**{"commit": before["commit"], **sample}) for sample in before["samples"]
            ]

    def add(self, sample: Sample, number: str = "") -> None:
        sample.commit = self._commit
        made = (sample.lane, sample.workload)
        if made not in self._made:
            self._made.add(made)
            self.samples = [one for one in self.samples if (one.lane, one.workload) != made]
        self.samples.append(sample)
        self.ratios = ratios(self.samples)
        _tell(number, sample)
        report = {
            "machine": machine(),
            "commit": self._commit,
            "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "samples": [one.as_json() for one in self.samples],
            "ratios": self.ratios,
            "lost": sum(one.lost for one in self.samples),
        }
        self._output.parent.mkdir(exist_ok=True)
        self._output.write_text(json.dumps(report, indent=1) + "\n")


def pairs(vendor: StandIn, rounds: int, count: int) -> Iterator[Sample]:
    """Bursts of `count` for lanes that are all up, there and back; the first round is dropped."""
    with ExitStack() as up:
        lanes = [up.enter_context(_up(vendor, name)) for name in PAIRED]
        workload = Workload("pair", count)
        for number in range(-1, rounds):
            for lane in lanes if number % 2 else lanes[::-1]:
                run = f"pair{number}-{lane.name}".replace("@", "-")
                sample = measure(lane, workload, vendor, run, seed=1, settled=True)
                sample.repetition = number
                if number >= 0:
                    yield sample


def depth(vendor: StandIn, count: int, last: int = 1_000) -> Iterator[Sample]:
    """The first and the last 1,000 of so many events, in a lane that is kept up.

    The first 1,000 are measured once more on fresh state behind it: minutes lie between first and
    last, and a machine's speed is not the same at both ends.
    """
    parts = {"depth-first": last, "depth-between": count - 2 * last, "depth-last": last}
    for name in TUNED:
        yield from _parts_in_one_lane(vendor, name, parts)
        yield from _parts_in_one_lane(vendor, name, {"depth-first": last})


def _parts_in_one_lane(vendor: StandIn, name: str, parts: dict[str, int]) -> Iterator[Sample]:
    with _up(vendor, name) as lane:
        for part, size in parts.items():
            yield measure(lane, Workload(part, size), vendor, part, seed=1)
            settle(lane.engine)


def _one(lane: str, workload: Workload, vendor: StandIn, number: int) -> Sample | None:
    try:
        with _up(vendor, lane) as started:
            return measure(started, workload, vendor, f"r{number}", seed=number)
    except Unavailable as err:
        print(f"left out {lane}: {err}", file=sys.stderr)
        return None


@contextmanager
def _up(vendor: StandIn, name: str) -> Iterator[Lane]:
    """A lane on fresh state."""
    module = import_module(f"bench.lanes.{name.partition('@')[0]}")
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        lane = module.start(directory, f"{vendor.url}/v1", **VARIANTS.get(name, {}))
        lane.name = name
        try:
            yield lane
        finally:
            lane.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _stand_in() -> StandIn:
    port = free_port()
    process = Process.start("vendor", python("bench.stand_in", str(port)))
    return StandIn(process, f"http://127.0.0.1:{port}")


def _tell(number: str, sample: Sample) -> None:
    what = f"{number:<7} {sample.workload:<14} {sample.lane:<16}"
    if not sample.events_per_second:
        print(what, ", ".join(f"{name} {value:.3g}" for name, value in sample.more.items()))
        return
    cpu = ", ".join(f"{role} {1000 * s:.1f}" for role, s in sample.cpu_per_event.items())
    print(
        f"{what} {sample.events_per_second:6.1f}/s  accept p50 {sample.accept_ms['p50']:7.1f} ms  "
        f"end-to-end p50 {sample.end_to_end_ms.get('p50', 0):8.1f} "
        f"p95 {sample.end_to_end_ms.get('p95', 0):8.1f} ms  "
        f"lost {sample.lost} twice {sample.duplicated}  cpu ms/event: {cpu}",
        flush=True,
    )


WORKLOADS = [
    *("burst", "steady-10", "faults", "kill", "steady-40", "vendor-200ms"),
    *IN_A_LANE,
]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--quick", action="store_true", help="does it run: tiny, worth no figure")
    parser.add_argument("--long", action="store_true", help="more of all, the others killed too")
    parser.add_argument("--lanes", type=lambda text: text.split(","))
    parser.add_argument("--workloads", type=lambda text: text.split(","), default=WORKLOADS)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
