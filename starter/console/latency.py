"""Sort the times that deliveries took into classes, for a chart."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

# Where each class ends but the last, and what they are called.
_ENDS = [timedelta(seconds=seconds) for seconds in (0.1, 0.3, 1, 5, 60)]
_NAMES = ("< 100 ms", "< 300 ms", "< 1 s", "< 5 s", "< 1 min", "longer")


@dataclass(frozen=True)
class Latency:
    """Times from acceptance to the last answer. `classes` are names with numbers of events."""

    classes: list[tuple[str, int]]
    sample: int
    median: timedelta
    p95: timedelta


def latency(times: Sequence[timedelta]) -> Latency:
    """Sort the times of at least one event."""
    ordered, sample = sorted(times), len(times)
    found = Counter(bisect(_ENDS, time) for time in ordered)
    classes = [(name, found[place]) for place, name in enumerate(_NAMES)]
    return Latency(classes, sample, ordered[sample // 2], ordered[int(0.95 * sample)])
