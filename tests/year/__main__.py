"""python -m tests.year [--deliveries 1000000] [--seed N]: exits with 1 when anything is broken."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.year.run import live

PART = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.year")
    parser.add_argument("--deliveries", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    began, total, broken = time.monotonic(), 0, []
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        parts = [
            pool.submit(live, min(PART, asked.deliveries - first), seed=asked.seed, first=first)
            for first in range(0, asked.deliveries, PART)
        ]
        for part in as_completed(parts):
            year = part.result()
            total += year.deliveries
            broken += year.broken
            if total % (10 * PART) == 0 or year.broken:
                print(f"{total:,} so far, the latest {year.summary}", flush=True)
    print(f"{total:,} deliveries in {time.monotonic() - began:.0f} s, {len(broken)} broken")
    for fault in broken[:20]:
        print(fault)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
