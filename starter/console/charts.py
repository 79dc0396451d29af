"""Small charts as SVG, drawn on the server. Colors come from the style sheet, by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup

from delivery.attempt import Attempt
from delivery.result import Status
from eventlog.counts import Bucket
from starter.console import words

WIDTH = 480
HEIGHT = 116
BASE = 97  # where bars stand; below are the labels
_STACK = (Status.COMPLETED, Status.PROCESSING, Status.CANCELED, Status.FAILED)

# Upper ends of the classes of latency, in seconds, and how they are called.
_CLASSES = (
    (0.1, "< 100 ms"),
    (0.3, "< 300 ms"),
    (1.0, "< 1 s"),
    (5.0, "< 5 s"),
    (60.0, "< 1 min"),
    (float("inf"), "longer"),
)


def over_time(buckets: Sequence[Bucket]) -> Markup:
    """Stacked bars, a bucket each."""
    most = max((bucket.counts.total for bucket in buckets), default=0)
    step = WIDTH / max(len(buckets), 1)
    parts = []
    for place, bucket in enumerate(buckets):
        x, y = place * step + 1, float(BASE)
        for status in _STACK:
            number = bucket.counts.by_status.get(status, 0)
            if not number:
                continue
            height = max(number / most * (BASE - 8), 2)
            y -= height
            parts.append(_rect(x, y, step - 2, height, words.TONE[status], _told(bucket)))
    parts += _time_labels(buckets, step)
    total = sum(bucket.counts.total for bucket in buckets)
    about = "" if all(bucket.counts.exact for bucket in buckets) else "about "
    label = f"{about}{words.count(total, 'event')} over time, at most {most:,} in one bar"
    return _svg(label, parts, axis=str(most) if most else "")


@dataclass(frozen=True)
class Latency:
    """From acceptance to the last answer, of the latest delivered events."""

    chart: Markup
    sample: int
    median: timedelta | None
    p95: timedelta | None


def latency(times: Sequence[timedelta]) -> Latency:
    """A bar for each class of latency."""
    ordered = sorted(times)
    seconds = [time.total_seconds() for time in ordered]
    numbers, lower = [], 0.0
    for upper, _ in _CLASSES:
        numbers.append(sum(lower <= second < upper for second in seconds))
        lower = upper
    most, step = max(numbers), WIDTH / len(_CLASSES)
    parts = []
    for place, (number, (_, name)) in enumerate(zip(numbers, _CLASSES, strict=True)):
        x, height = place * step, (number / most * (BASE - 24) if most else 0)
        if number:
            parts.append(_rect(x + 8, BASE - height, step - 16, max(height, 2), "accent", ""))
        middle = x + step / 2
        parts.append(_text(middle, BASE - height - 6, f"{number:,}" if number else "", "middle"))
        parts.append(_text(middle, HEIGHT - 4, name, "middle"))
    told = [f"{number} {name}" for number, (_, name) in zip(numbers, _CLASSES, strict=True)]
    return Latency(
        chart=_svg("Time to delivery: " + ", ".join(told), parts),
        sample=len(ordered),
        median=_quantile(ordered, 0.5),
        p95=_quantile(ordered, 0.95),
    )


def strip(attempts: Sequence[Attempt], until: datetime) -> Markup:
    """When each attempt was made, on one line from the first start to `until`."""
    first = min(attempt.started_at for attempt in attempts)
    whole = max((until - first).total_seconds(), 0.001)
    parts = [Markup('<line class="rule" x1="0" y1="14" x2="480" y2="14"/>')]
    for attempt in attempts:
        width = max(attempt.duration_ms / 1_000 / whole * WIDTH, 4)
        x = min((attempt.started_at - first).total_seconds() / whole * WIDTH, WIDTH - width)
        told = (
            f"{attempt.call} {attempt.number}: {words.attempt(attempt)}, "
            f"{words.clock(attempt.started_at)} UTC, {words.span(attempt.duration_ms)}"
        )
        parts.append(_rect(x, 6, width, 16, words.outcome_tone(attempt.outcome_code), told))
    label = f"{words.count(len(attempts), 'attempt')} over {words.span(until - first)}"
    return _svg(label, parts, height=28, stretched=True)


def _quantile(ordered: Sequence[timedelta], part: float) -> timedelta | None:
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)] if ordered else None


def _time_labels(buckets: Sequence[Bucket], step: float) -> list[Markup]:
    if not buckets:
        return []
    long = buckets[-1].end - buckets[0].start > timedelta(days=2)

    def told(at: datetime) -> str:
        return f"{at.day} {at:%b}" if long else f"{at:%H:%M}"

    middle = len(buckets) // 2
    return [
        _text(2, HEIGHT - 4, told(buckets[0].start), "start"),
        _text(middle * step, HEIGHT - 4, told(buckets[middle].start), "middle"),
        _text(WIDTH - 2, HEIGHT - 4, told(buckets[-1].end), "end"),
    ]


def _told(bucket: Bucket) -> str:
    counts = ", ".join(
        f"{number} {words.STATUS[status].lower()}"
        for status, number in bucket.counts.by_status.items()
        if number
    )
    return f"{words.moment(bucket.start)} UTC: {counts}"


def _rect(x: float, y: float, width: float, height: float, tone: str, told: str) -> Markup:
    title = Markup("<title>{}</title>").format(told) if told else Markup("")
    return Markup(
        '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="1.5">{}</rect>'
    ).format(f"fill-{tone}", x, y, max(width, 1), height, title)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, text
    )


def _svg(
    label: str,
    parts: Sequence[Markup],
    *,
    height: int = HEIGHT,
    axis: str = "",
    stretched: bool = False,
) -> Markup:
    if axis:
        line = Markup('<line class="rule" x1="0" y1="{0}" x2="480" y2="{0}"/>').format(BASE)
        parts = [line, *parts, _text(0, 10, axis, "start")]
    fit = Markup(' preserveAspectRatio="none"') if stretched else ""
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}"{} role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH, height, fit, label, Markup("").join(parts))
