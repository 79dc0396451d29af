"""python -m tests.chaos [--seed N] [--only a,b] [--size 1.0] [--minutes 15]

Runs the scenarios one after the other, prints what each came to, writes the report, and exits with
1 when the oracle has found anything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import time
from pathlib import Path

from bench.facts import commit, machine
from tests.chaos.run import run
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.wrong_clock import MISSING, library

REPORT = Path(__file__).parent / "reports" / "latest.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--only", help="scenarios, by commas")
    parser.add_argument("--size", type=float, default=1.0, help="how many events, of the usual")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--report", type=Path, default=REPORT)
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    names = asked.only.split(",") if asked.only else [one.name for one in SCENARIOS]
    chosen = [one for one in SCENARIOS if one.name in names]
    if "clock-jumps" in names and library() is None:
        sys.exit(f"clock-jumps: {MISSING}; or choose others with --only")
    # The last one to begin needs some time itself.
    until = time.monotonic() + 60 * max(asked.minutes - 2, 1)
    ran_on = {"machine": machine(), "commit": commit()}
    outcomes = asyncio.run(run(chosen, seed=asked.seed, size=asked.size, until=until))
    report = {
        **ran_on,
        "seed": asked.seed,
        "size": asked.size,
        "left_out": [one.name for one in chosen[len(outcomes) :]],
        "lost": sum(outcome.lost for outcome in outcomes),
        "broken": sum(len(outcome.broken) for outcome in outcomes),
        "scenarios": [outcome.as_json() for outcome in outcomes],
    }
    asked.report.parent.mkdir(parents=True, exist_ok=True)
    asked.report.write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(1 if report["broken"] or report["left_out"] else 0)


if __name__ == "__main__":
    main()
