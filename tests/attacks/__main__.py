"""python -m tests.attacks [pytest's arguments]

Runs every attack of `table.py`, writes the report and the table of docs/security.md, and exits with
1 when one got in.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.attacks.report import Outcomes
from tests.attacks.table import ATTACKS

ROOT = Path(__file__).parents[2]


def main() -> None:
    os.environ["EMITONCE_TEST_ATTACK"] = "1"
    files = {test.partition("::")[0] for attack in ATTACKS for test in attack.tests}
    there = sorted(file for file in files if (ROOT / file).exists())
    outcomes = Outcomes()
    # Those of the folder that the table doesn't name are made, too.
    of_the_report = "--ignore=tests/attacks/test_report.py"
    pytest.main(["-q", of_the_report, *sys.argv[1:], *there, "tests/attacks"], plugins=[outcomes])
    report = outcomes.report()
    report.write()
    print(report.table())
    sys.exit(0 if report.all_held else 1)


if __name__ == "__main__":
    main()
