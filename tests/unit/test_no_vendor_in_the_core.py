"""What is true of every destination names none of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from destinations.destination import Destination
from destinations.registry import BY_TYPE

ROOT = Path(__file__).parents[2]
CORE = ("activities", "catalog", "delivery", "engine", "eventlog", "operations", "workflows")
SHIPPED = (*CORE, "deploy", "emitonce", "starter")
MODULES = ("clear_text.py", "key_provider.py", "process.py", "settings.py", "worker.py")
SOURCE = (".css", ".html", ".js", ".py", ".sh", ".sql", ".yaml", ".yml")
# The demo sends one event to several.
MAY_NAME = {ROOT / "starter/cli/tour.py"}
# Alerts can be written in a format that is named for one of them; they are no destination.
ALERTS = "alert"

# A webhook is also what alerts are.
VENDORS = [one for one in BY_TYPE.values() if one.type != "webhook"]
FIRST = "customer_io"  # the sample event's, wherever something is tried out


def names_of(destinations: Iterable[Destination]) -> re.Pattern[str]:
    names = [re.escape(one.type).replace("_", "[._]?") for one in destinations]
    return re.compile("|".join(names), re.I)


def source_of(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix in SOURCE)


def named_in(paths: Iterable[Path], names: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if names.search(line) and not (ALERTS in path.name or ALERTS in line)
    ]


@pytest.mark.parametrize("package", CORE)
def test_no_vendor_is_named_in(package: str) -> None:
    code = sorted((ROOT / package).rglob("*.py"))
    assert named_in(code, names_of(VENDORS)) == []


@pytest.mark.parametrize("package", [*SHIPPED, *MODULES])
def test_a_further_vendor_changes_nothing_in(package: str) -> None:
    path = ROOT / package
    found = set(source_of(path) if path.is_dir() else [path]) - MAY_NAME
    further = [one for one in VENDORS if one.type != FIRST]
    assert named_in(sorted(found), names_of(further)) == []


def test_a_vendor_that_is_named_is_found() -> None:
    names = names_of(VENDORS)
    assert names.search("sent to Customer.io")
    assert names.search("customerio")
    assert named_in(MAY_NAME, names)
