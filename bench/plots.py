"""The plots of docs/benchmarks.md, for readers who know none of the engines."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from activities.connection_limiter import Answer
from bench.limiter_model import Bucket, Vendor, run
from bench.measure import Sample
from bench.processes import ROOT

IMAGES = ROOT / "docs" / "images"
HERD = ROOT / "bench" / "results" / "herd.json"

LABELS = {
    "ours": "emitonce",
    "bare_tuned": "Temporal alone, tuned",
    "bare": "Temporal alone, default settings",
    "dbos": "DBOS",
    "restate": "Restate",
    "outbox": "a table in PostgreSQL",
}
COLORS = {"ours": "#4f6df5", "bare_tuned": "#8a8f98"}
OTHER = "#c9ced6"
BAD = "#c2410c"
ROLES = {"engine": "#115e59", "worker": "#2aa198", "emitter": "#b5e3dd"}


def plot(samples: Sequence[Sample]) -> None:
    import matplotlib as plotting

    plotting.use("Agg")
    from matplotlib import pyplot

    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, drawn in (
        ("benchmarks", _costs),
        ("benchmarks-kill", _kill),
        ("benchmarks-reads", _reads),
        ("benchmarks-limiter", _limiter),
        ("benchmarks-herd", _herd),
    ):
        figure = drawn(pyplot, samples)
        if figure is not None:
            _save(figure, IMAGES / f"{name}.png")


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _costs(pyplot: Any, samples: Sequence[Sample]) -> Any:
    lanes = [lane for lane in LABELS if _of(samples, lane, "burst")][::-1]
    labels = [LABELS[lane] for lane in lanes]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 3.6), sharey=True)
    rates = [_median(samples, lane, lambda s: s.events_per_second) for lane in lanes]
    bars = left.barh(labels, rates, color=[COLORS.get(lane, OTHER) for lane in lanes])
    left.bar_label(bars, fmt="%.0f", padding=3)
    left.set_title("Events delivered a second (more is better)")
    left.set_xlabel("events/s in a burst")
    start = [0.0] * len(lanes)
    for role, color in ROLES.items():
        each = [
            _median(samples, lane, lambda s, role=role: 1000 * s.cpu_per_event.get(role, 0))
            for lane in lanes
        ]
        bars = right.barh(labels, each, left=start, color=color, label=role)
        start = [before + one for before, one in zip(start, each, strict=True)]
    sums = [
        _median(samples, lane, lambda s: 1000 * sum(s.cpu_per_event.values())) for lane in lanes
    ]
    right.bar_label(bars, labels=[f"{one:.1f}" for one in sums], padding=3)
    right.set_title("CPU for one event (less is better)")
    right.set_xlabel("ms")
    right.legend()
    for axis in (left, right):
        axis.margins(x=0.12)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _kill(pyplot: Any, samples: Sequence[Sample]) -> Any:
    """How many events have arrived, second by second, in each repetition."""
    drawn = [s for s in samples if s.workload == "kill" and s.curve and s.lane in COLORS]
    if not drawn:
        return None
    figure, axis = pyplot.subplots(figsize=(9, 3.8))
    for lane in ("bare_tuned", "ours"):
        color, runs = COLORS[lane], [s for s in drawn if s.lane == lane]
        for number, sample in enumerate(runs):
            seconds = [half / 2 for half in range(len(sample.curve))]
            label = None if number else f"{LABELS[lane]} (runs: {len(runs)})"
            axis.plot(seconds, sample.curve, color=color, label=label, linewidth=1.6)
            at = sample.more["killed_after_seconds"]
            axis.plot([at], [sample.count / 2], marker="x", color=color, markersize=8)
    axis.plot([], [], "x", color="black", label="the worker is killed, another starts")
    axis.axhline(drawn[0].count, color=OTHER, linestyle=":")
    axis.set_xlabel("seconds since the first event")
    axis.set_ylabel("events delivered")
    axis.set_title(f"{drawn[0].count:,} events accepted at once, the worker killed half-way")
    axis.set_ylim(bottom=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="lower right")
    return figure


def _reads(pyplot: Any, samples: Sequence[Sample]) -> Any:
    found = {int(s.workload[6:]): s for s in samples if s.workload[6:].isdigit()}
    if not found:
        return None
    stored = sorted(found)
    figure, axis = pyplot.subplots(figsize=(9, 3.6))
    drawn = {
        "log": "#1f9d76",
        "list": "#4f6df5",
        "list of a person": "#1f3a93",
        "console: events": BAD,
        "console: counts and charts": "#8a8f98",
    }
    for number, (what, color) in enumerate(drawn.items()):
        times = [found[many].more[f"{what} p50"] for many in stored]
        places = [place + (number - 2) * 0.16 for place in range(len(stored))]
        axis.bar(places, times, 0.16, color=color, label=what)
    axis.set_xticks(range(len(stored)), [f"{many:,}" for many in stored])
    axis.set_xlabel("events stored")
    axis.set_ylabel("ms")
    axis.set_title("Time to read (median)")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend()
    return figure


def _limiter(pyplot: Any, samples: Sequence[Sample]) -> Any:
    """Requests a second against an undocumented limit, by the model."""
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 3.4), sharey=True)
    for axis, workers in zip(axes, (1, 4), strict=True):
        ran = run([0.0] * 600, Vendor(0.05, Bucket(20, 20)), workers=workers, seed=1)
        seconds = range(int(ran.last) + 1)
        for said, color, label in (
            (Answer.ACCEPTED, COLORS["ours"], "accepted"),
            (Answer.REFUSED, BAD, "refused"),
        ):
            counted = Counter(int(at) for at, answer in ran.requests if answer is said)
            axis.plot(seconds, [counted[one] for one in seconds], color=color, label=label)
        axis.axhline(20, color="black", linestyle=":", label="limit: 20/s, plus a burst of 20")
        axis.set_title(f"{workers} worker{'s' if workers > 1 else ''}, simulated")
        axis.set_xlabel("seconds; at the end none is left to send")
        axis.set_ylabel("requests in each second")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(loc="center right", bbox_to_anchor=(0.92, 0.32))
    axes[0].set_ylim(bottom=0)
    return figure


def largest_herd() -> dict[str, Any] | None:
    """The largest herd measured: see `bench.herd`."""
    if not HERD.exists():
        return None
    found: dict[str, dict[str, Any]] = json.loads(HERD.read_text())
    return found[max(found, key=int)]


def _herd(pyplot: Any, samples: Sequence[Sample]) -> Any:
    """Requests, events delivered and memory while a vendor is unavailable, and after."""
    herd = largest_herd()
    if herd is None:
        return None
    looks, stages = herd["looks"], herd["stages"]
    minutes = [look["at"] / 60 for look in looks]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 3.4), sharex=True)
    away = stages["accepting"] / 60, stages["draining"] / 60
    for what, color, label in (
        ("tries", BAD, "requests made (2 an event)"),
        ("delivered", COLORS["ours"], "events delivered"),
    ):
        left.plot(minutes, [look[what] for look in looks], color=color, label=label)
    left.set_title(f"{herd['events']:,} events wait")
    left.set_ylabel("number so far")
    left.annotate(
        f"{herd['tries_while_away']:,} requests",
        (sum(away) / 2, herd["tries_while_away"]),
        xytext=(0, 8),
        textcoords="offset points",
        ha="center",
        color=BAD,
    )
    for role in ("engine", "worker"):
        right.plot(minutes, [look[role] / 1e6 for look in looks], color=ROLES[role], label=role)
    right.set_title("Memory")
    right.set_ylabel("MB")
    for axis in (left, right):
        axis.axvspan(*away, color=OTHER, alpha=0.3, label="the vendor is unavailable")
        axis.set_xlabel("minutes")
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend()
    return figure


def _of(samples: Sequence[Sample], lane: str, workload: str) -> list[Sample]:
    return [s for s in samples if (s.lane, s.workload) == (lane, workload)]


def _median(samples: Sequence[Sample], lane: str, read: Any) -> float:
    return statistics.median(read(s) for s in _of(samples, lane, "burst"))
