"""The capacity model: more load needs more of everything, and its page is written from figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.capacity import (
    CALLS_OF_VENDOR,
    RATES,
    ROUGH,
    UTILISATION,
    VENDOR_RATE,
    check_table,
    limits,
    measured_costs,
    needs,
    predicted,
    write,
)


def sample(lane: str = "ours", rate: float = 40.0, worker: float = 0.016) -> dict[str, object]:
    return {
        "lane": lane,
        "workload": "burst",
        "events_per_second": rate,
        "cpu_per_event": {"engine": 0.02, "database": 0.001, "worker": worker, "emitter": 0.003},
        "stored_per_event": 9_000.0,
        "more": {"state_transitions": 9.0, "history_events": 19.0},
    }


@pytest.mark.parametrize("rate", RATES)
def test_what_is_planned_carries_the_rate(rate: int) -> None:
    need = needs(ROUGH, rate)
    assert need.workers * UTILISATION >= rate * ROUGH.worker
    assert need.engine_cores * UTILISATION >= rate * ROUGH.engine
    assert need.connections * VENDOR_RATE >= rate * CALLS_OF_VENDOR
    assert need.shards & (need.shards - 1) == 0, "the server wants a power of two"
    assert need.shards >= 512


def test_a_dearer_event_meets_its_limits_earlier() -> None:
    dearer = dict(limits(replace(ROUGH, worker=2 * ROUGH.worker)))
    for name, rate in limits(ROUGH):
        assert dearer[name] <= rate


def test_costs_are_the_medians_of_a_report() -> None:
    report = {"samples": [sample(worker=w) for w in (0.01, 0.016, 0.9)]}
    costs = measured_costs(report)
    assert costs.worker == 0.016
    assert costs.engine == pytest.approx(0.021)
    assert costs.measured


def test_the_model_stands_beside_what_was_measured() -> None:
    report = {"machine": {"cores": 2}, "samples": [sample(rate=45.0)]}
    assert predicted(measured_costs(report), 2) == pytest.approx(50.0)
    assert "| one emitter, one worker | 50.0 | 45.0 | -10% |" in check_table(report, ROUGH)
    assert check_table(None, ROUGH) == "Not measured yet."


def test_tables_take_the_place_between_their_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- costs -->\nold\n<!-- /costs -->\nafter\n")
    write(page, {"costs": "new"})
    write(page, {"costs": "newer"})
    assert page.read_text() == "before\n<!-- costs -->\nnewer\n<!-- /costs -->\nafter\n"
