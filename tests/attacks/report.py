"""What became of each attack: collected while pytest runs, written for people and for machines."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.facts import commit, machine
from tests.attacks.table import ATTACKS, Attack

REPORT = Path(__file__).parent / "reports" / "latest.json"
PAGE = Path(__file__).parents[2] / "docs" / "security.md"
BEGIN, END = "<!-- written by make attack -->\n", "<!-- until here -->\n"

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Tested:
    """One test, and the figures that it has recorded."""

    test: str
    outcome: str
    figures: JsonObject


class Outcomes:
    """A plugin of pytest."""

    def __init__(self) -> None:
        self._tested: dict[str, Tested] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            before = self._tested.get(report.nodeid)
            if before is None or before.outcome == "passed":
                figures = dict(report.user_properties)
                self._tested[report.nodeid] = Tested(report.nodeid, report.outcome, figures)

    def report(self) -> Report:
        return Report([_of(attack, list(self._tested.values())) for attack in ATTACKS])


def _of(attack: Attack, tested: list[Tested]) -> JsonObject:
    made = [one for one in tested if _belongs(one.test, attack)]
    failed = [one.test for one in made if one.outcome == "failed"]
    passed = [one for one in made if one.outcome == "passed"]
    if failed:
        verdict = "got in"
    elif not passed:
        verdict = "not made"
    else:
        verdict = "refused" if attack.refused else "held"
    return {
        "id": attack.id,
        "attack": attack.what,
        "asvs": attack.asvs,
        "verdict": verdict,
        "tests": len(passed),
        "failed": failed,
        "figures": {_name(one.test): one.figures for one in passed if one.figures},
    }


def _belongs(test: str, attack: Attack) -> bool:
    return any(test == own or test.startswith((f"{own}::", f"{own}[")) for own in attack.tests)


def _name(test: str) -> str:
    return test.rpartition("::")[2]


@dataclass
class Report:
    attacks: list[JsonObject]
    ran_on: JsonObject = field(default_factory=lambda: {"machine": machine(), "commit": commit()})

    @classmethod
    def latest(cls) -> Report:
        stored = json.loads(REPORT.read_text())
        return cls(stored["attacks"], {name: stored[name] for name in ("machine", "commit")})

    @property
    def all_held(self) -> bool:
        return all(one["verdict"] in ("refused", "held") for one in self.attacks)

    def write(self) -> None:
        """To the report's file, and to the page's table."""
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(json.dumps({**self.ran_on, "attacks": self.attacks}, indent=1) + "\n")
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(before + BEGIN + self.table() + END + rest.partition(END)[2])

    def table(self) -> str:
        """In Markdown."""
        lines = ["| | attack | ASVS 5.0 | outcome | shown by |", "| --- | --- | --- | --- | --- |"]
        for attack, one in zip(ATTACKS, self.attacks, strict=True):
            shown = ", ".join(dict.fromkeys(f"`{t.partition('::')[0]}`" for t in attack.tests))
            said = f"**{one['verdict']}**, {_tests(one)}{_said(one['figures'])}"
            lines.append(f"| {one['id']} | {one['attack']} | {one['asvs']} | {said} | {shown} |")
        return "\n".join(lines) + "\n"


def _tests(one: JsonObject) -> str:
    number = one["tests"]
    return f"{number} {'test' if number == 1 else 'tests'}"


def _said(figures: JsonObject) -> str:
    """The sums of what was counted, and the longest of what was measured."""
    of_all = [one for figures_of_one in figures.values() for one in figures_of_one.items()]
    said = []
    for name in dict.fromkeys(name for name, _ in of_all):
        numbers = [value for key, value in of_all if key == name and not isinstance(value, dict)]
        if numbers:
            unit = re.search(r"_(ms)$", name)
            value = f"{max(numbers)} ms" if unit else str(sum(numbers))
            said.append(f"{name.removesuffix('_ms').replace('_', ' ')} {value}")
    return "; " + ", ".join(said) if said else ""
