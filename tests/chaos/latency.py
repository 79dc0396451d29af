"""Percentiles of few samples."""

from __future__ import annotations

from collections.abc import Sequence


def p95(samples: Sequence[float]) -> float:
    """The smallest sample that 95 % do not exceed; 0 of none."""
    ordered = sorted(samples)
    return ordered[-(-95 * len(ordered) // 100) - 1] if ordered else 0.0
