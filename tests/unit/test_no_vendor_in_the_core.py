"""What is true of every destination names none of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from destinations.registry import BY_TYPE

ROOT = Path(__file__).parents[2]
CORE = ("activities", "catalog", "delivery", "engine", "eventlog", "operations", "workflows")
# A webhook is also what alerts are.
VENDORS = [one for one in BY_TYPE.values() if one.type != "webhook"]
NAMES = re.compile("|".join(re.escape(one.type).replace("_", "[._]?") for one in VENDORS), re.I)


@pytest.mark.parametrize("package", CORE)
def test_no_vendor_is_named_in(package: str) -> None:
    named = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if NAMES.search(line)
    ]
    assert named == []


def test_a_vendor_that_is_named_is_found() -> None:
    assert NAMES.search("sent to Customer.io")
    assert NAMES.search("customerio")
