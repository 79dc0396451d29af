"""Every alert, rule and symptom has a section in the runbook, which its link opens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from delivery.alert import AlertType, runbook_url
from operations.problem import Symptom

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]


@pytest.mark.parametrize(
    "title", [*AlertType, *get_args(Symptom), *(rule["alert"] for rule in RULES)]
)
def test_each_alert_and_symptom_has_its_section(title: str) -> None:
    assert "**You see:**" in SECTIONS[title]
    assert "ype this:**" in SECTIONS[title]
    assert "t means" in SECTIONS[title]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_rule_links_its_section(rule: dict[str, dict[str, str]]) -> None:
    linked = rule["annotations"]["runbook_url"]
    assert linked == runbook_url("docs/runbook.md", str(rule["alert"]))


def test_links_are_the_anchors_that_markdown_makes() -> None:
    assert runbook_url("r", "connection.inactive") == "r#connectioninactive"
    assert runbook_url("r", "no worker") == "r#no-worker"
    anchors = {runbook_url("", title) for title in SECTIONS}
    assert set(re.findall(r"\]\((#[a-z-]+)\)", RUNBOOK)) <= anchors
