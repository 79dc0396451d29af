"""One measurement: a lane, a workload, and what came of it."""

from __future__ import annotations

import bisect
import json
import os
import statistics
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.lane import Lane
from bench.processes import ROOT, Process, python, tree_bytes
from bench.workload import Workload

DRAIN_SECONDS = 120
WARM = 20
IDLE_CPU = 0.1  # seconds of CPU within one second


@dataclass
class StandIn:
    """The vendor's stand-in, seen from outside."""

    process: Process
    url: str

    def reset(self, workload: Workload, seed: int) -> None:
        options = {
            "latency_ms": workload.latency_ms,
            "fail_503": workload.fail_503,
            "fail_429": workload.fail_429,
            "seed": seed,
        }
        self._ask("/_reset", json.dumps(options).encode())

    def tracked(self) -> int:
        """How many users have arrived, those of the warm-up among them."""
        return int(self._ask("/_tracked"))

    def requests(self) -> int:
        return int(self._ask("/_requests"))

    def seen(self) -> list[tuple[str, str, int, int]]:
        return [tuple(call) for call in json.loads(self._ask("/_seen"))]  # type: ignore[misc]

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(self.url + path, body, timeout=30) as answer:
            return answer.read()  # type: ignore[no-any-return]


@dataclass
class Sample:
    """Latencies in milliseconds; CPU in seconds an event by role; RSS and stored in bytes.

    `curve` is how many had arrived after each half second, of a run in which a worker was killed.
    """

    lane: str
    workload: str
    count: int
    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    events_per_second: float = 0.0
    accept_ms: dict[str, float] = field(default_factory=dict)
    end_to_end_ms: dict[str, float] = field(default_factory=dict)
    cpu_per_event: dict[str, float] = field(default_factory=dict)
    rss: dict[str, int] = field(default_factory=dict)
    stored_per_event: float = 0.0
    repetition: int = 0
    more: dict[str, float] = field(default_factory=dict)
    curve: list[int] = field(default_factory=list)
    commit: str = ""

    def as_json(self) -> dict[str, Any]:
        return dict(self.__dict__)


def measure(
    lane: Lane, workload: Workload, vendor: StandIn, run: str, seed: int, *, settled: bool = False
) -> Sample:
    """Accept the workload's events, wait until all have arrived, and account for it.

    With `settled`, what follows an event's arrival is waited for and part of what it costs.
    """
    vendor.reset(workload, seed)
    module = lane.name.split("@")[0]
    parts = _parts(workload, lane.emitters)
    emitters = [
        _emitter(module, lane, part, run, first, number)
        for number, (first, part) in enumerate(parts)
    ]
    warm = WARM * len(parts)
    _until(lambda: vendor.tracked() >= warm, 60)
    stored = sum(tree_bytes(path) for path in lane.stored)
    before = _costs(lane, emitters)
    for emitter in emitters:
        assert emitter.popen.stdin is not None
        emitter.popen.stdin.write("\n")
        emitter.popen.stdin.flush()
    killed = None
    if workload.kill:
        killed = _kill_half_way(lane, vendor, warm + workload.count // 2, before)
    samples: dict[str, list[int]] = {"begun": [], "done": []}
    for emitter in emitters:
        assert emitter.popen.stdout is not None
        for name, values in json.loads(emitter.popen.stdout.readline()).items():
            samples[name] += values
    _drain(warm + workload.count, vendor)
    if settled:
        settle(lane.processes())
    after = _costs(lane, emitters)
    for emitter in emitters:
        emitter.stop()
    grown = sum(tree_bytes(path) for path in lane.stored) - stored
    sample = _account(lane, workload, vendor, run, samples, before, after, grown)
    if killed is not None:
        sample.more, sample.curve = after_the_kill(vendor.seen(), killed, run, samples["begun"])
    elif workload.name == "burst":
        sample.more = lane.describe()
    return sample


def _parts(workload: Workload, emitters: int) -> list[tuple[int, Workload]]:
    """Each emitter's first event and its part of the work."""
    count = workload.count // emitters
    return [
        (
            number * count,
            replace(
                workload,
                count=count,
                rate=workload.rate and workload.rate / emitters,
                concurrency=workload.concurrency // emitters,
            ),
        )
        for number in range(emitters)
    ]


def _emitter(
    module: str, lane: Lane, workload: Workload, run: str, first: int, part: int
) -> Process:
    popen = subprocess.Popen(
        python("bench.emitter", module),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    assert popen.stdin is not None
    assert popen.stdout is not None
    spec = {
        "workload": workload.as_json(),
        "target": lane.target,
        "run": run,
        "first": first,
        "warm": f"{run}-warm{part}",
    }
    popen.stdin.write(json.dumps(spec) + "\n")
    popen.stdin.flush()
    assert json.loads(popen.stdout.readline())["ready"]
    return Process("emitter", popen)


def _until(condition: Any, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.25)
    return False


def _drain(users: int, vendor: StandIn) -> None:
    """Wait until all have arrived, or none has for so long that no more will."""
    arrived = -1
    deadline = time.monotonic() + DRAIN_SECONDS
    while (tracked := vendor.tracked()) < users and time.monotonic() < deadline:
        if tracked > arrived:
            arrived, deadline = tracked, time.monotonic() + DRAIN_SECONDS
        time.sleep(0.25)


def settle(processes: Sequence[Process], seconds: float = 120) -> float:
    """Wait until they do next to nothing; how many seconds that took.

    What follows an event's arrival, visibility above all, is done behind it.
    """
    began = time.monotonic()
    used = sum(process.cost().cpu for process in processes)
    while time.monotonic() < began + seconds:
        time.sleep(1)
        before, used = used, sum(process.cost().cpu for process in processes)
        if used - before < IDLE_CPU:
            break
    return time.monotonic() - began


def _kill_half_way(
    lane: Lane, vendor: StandIn, half: int, before: dict[str, dict[str, float]]
) -> int:
    """Give the time of the kill."""
    _until(lambda: vendor.tracked() >= half, DRAIN_SECONDS)
    killed = time.time_ns()
    for worker in lane.workers:
        worker.kill()
    lane.workers[:] = [lane.start_worker() for _ in lane.workers]
    before.pop("worker", None)  # what it had used is gone with it
    return killed


def after_the_kill(
    seen: list[tuple[str, str, int, int]], killed: int, run: str, begun: list[int]
) -> tuple[dict[str, float], list[int]]:
    """What became of the calls that were on their way, and the curve.

    `resumed_seconds`: from the kill until such a call is made again, the median. `drain_per_second`
    counts from the kill until the last event that was left has arrived.
    """
    began = min(begun)
    calls: dict[tuple[str, str], list[int]] = {}
    for call, user, at, status in seen:
        if status == 200 and not user.startswith(f"{run}-warm"):
            calls.setdefault((call, user), []).append(at)
    again = [times[1] - killed for times in calls.values() if len(times) > 1]
    tracked = sorted(times[0] for (call, _), times in calls.items() if call == "track")
    left = [at for at in tracked if at > killed]
    ends = (tracked[-1] - began) / 1e9 if tracked else 0.0
    more = {
        "killed_after_seconds": (killed - began) / 1e9,
        "calls_made_again": float(len(again)),
    }
    if again:
        more["resumed_seconds"] = statistics.median(again) / 1e9
    if left:
        more["drain_per_second"] = len(left) / ((left[-1] - killed) / 1e9)
    curve = [
        bisect.bisect_right(tracked, began + int(half * 5e8)) for half in range(int(2 * ends) + 2)
    ]
    return more, curve


def _costs(lane: Lane, emitters: list[Process]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for process in [*lane.processes(), *emitters]:
        cost = process.cost()
        role = found.setdefault(process.role, {"cpu": 0.0, "rss": 0.0})
        role["cpu"] += cost.cpu
        role["rss"] += cost.rss
    return found


def _account(
    lane: Lane,
    workload: Workload,
    vendor: StandIn,
    run: str,
    samples: dict[str, list[int]],
    before: dict[str, dict[str, float]],
    after: dict[str, dict[str, float]],
    grown: int,
) -> Sample:
    tracked: dict[str, int] = {}
    identified: dict[str, int] = {}
    times: Counter[str] = Counter()
    for call, user, at, status in vendor.seen():
        if status != 200:
            continue
        if call == "track":
            times[user] += 1
            tracked.setdefault(user, at)
        else:
            identified.setdefault(user, at)
    users = [f"{run}-{number}" for number in range(workload.count)]
    arrived = [user for user in users if user in tracked]
    begun, done = samples["begun"], samples["done"]
    ends = [
        (tracked[user] - begun[number]) / 1e6
        for number, user in enumerate(users)
        if user in tracked
    ]
    last = max((tracked[user] for user in arrived), default=min(begun) + 1)
    return Sample(
        lane=lane.name,
        workload=workload.name,
        count=workload.count,
        lost=workload.count - len(arrived),
        duplicated=sum(times[user] > 1 for user in users),
        out_of_order=sum(
            user not in identified or identified[user] > tracked[user] for user in arrived
        ),
        events_per_second=len(arrived) / ((last - min(begun)) / 1e9),
        accept_ms=percentiles([(d - b) / 1e6 for b, d in zip(begun, done, strict=True)]),
        end_to_end_ms=percentiles(ends),
        cpu_per_event={
            role: (after[role]["cpu"] - before[role]["cpu"]) / workload.count
            for role in after
            if role in before
        },
        rss={role: int(cost["rss"]) for role, cost in after.items()},
        stored_per_event=grown / workload.count,
    )


def percentiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return {"p50": statistics.median(ordered), "p95": at(0.95), "p99": at(0.99), "max": ordered[-1]}
