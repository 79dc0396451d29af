"""python -m tests.upgrade [--seed N] [--events 300]

Upgrades a fleet of real processes, rolls it back, upgrades it for good, writes the report, and
exits with 1 when anything was lost, sent otherwise than before, or not refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
from pathlib import Path

from bench.facts import commit, machine
from tests.upgrade.releases import FIRST_COMMIT, R0_COMMIT
from tests.upgrade.run import run

REPORT = Path(__file__).parent / "reports" / "latest.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--report", type=Path, default=REPORT)
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    ran_on = {"machine": machine(), "commit": commit()}
    upgrade = asyncio.run(run(seed=asked.seed, events=asked.events))
    report = {
        **ran_on,
        "releases": {"8c73900": FIRST_COMMIT, "R0": R0_COMMIT, "this release": ran_on["commit"]},
        "seed": asked.seed,
        **upgrade.as_json(),
    }
    asked.report.parent.mkdir(parents=True, exist_ok=True)
    asked.report.write_text(json.dumps(report, indent=1) + "\n")
    for what in upgrade.broken:
        print(f"    {what}", flush=True)
    counted = ("events", "requests", "lost", "different_bytes", "failed_tasks")
    print("  ".join(f"{name} {report[name]}" for name in counted), flush=True)
    sys.exit(1 if upgrade.broken else 0)


if __name__ == "__main__":
    main()
