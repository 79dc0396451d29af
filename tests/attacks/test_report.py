"""The report says of each attack what became of it, and the page says what the report says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.attacks.report import BEGIN, END, PAGE, Outcomes, Report
from tests.attacks.table import ATTACKS, Attack

CLAIM = "tests/attacks/test_idempotency_keys.py::test_a"


def verdicts(*reported: dict[str, Any]) -> dict[str, str]:
    outcomes = Outcomes()
    for one in reported:
        fields = {"when": "call", "outcome": "passed", "user_properties": [], **one}
        fields["passed"] = fields["outcome"] == "passed"
        outcomes.pytest_runtest_logreport(SimpleNamespace(**fields))  # type: ignore[arg-type]
    return {one["id"]: one["verdict"] for one in outcomes.report().attacks}


def test_attack_is_refused_only_where_all_its_tests_have_passed() -> None:
    assert verdicts()["H1"] == "not made"
    assert verdicts({"nodeid": CLAIM})["H1"] == "refused"
    assert verdicts({"nodeid": CLAIM, "outcome": "skipped"})["H1"] == "not made"
    assert verdicts({"nodeid": CLAIM}, {"nodeid": f"{CLAIM}b", "outcome": "failed"})["H1"] == (
        "got in"
    )
    assert verdicts({"nodeid": CLAIM, "outcome": "failed", "when": "setup"})["H1"] == "got in"
    assert verdicts({"nodeid": "tests/attacks/test_races.py::test_a[x]"})["races"] == "held"


def test_page_has_the_table_of_the_latest_report() -> None:
    table = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert table == Report.latest().table()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_attack_was_made_and_did_not_get_in(attack: Attack) -> None:
    [one] = [one for one in Report.latest().attacks if one["id"] == attack.id]
    assert one["verdict"] in ("refused", "held")
