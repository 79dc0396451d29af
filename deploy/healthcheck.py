"""A container's health, asked from inside it: `healthcheck.py worker` or `healthcheck.py URL`.

Only the standard library, so that asking every few seconds costs next to nothing. A worker is well
when it polls Temporal for tasks; a URL is well when it answers 200. Exit code 0 is well, 1 is not.
"""

from __future__ import annotations

import os
import re
import sys
import urllib.request

TIMEOUT_SECONDS = 4
POLLERS = re.compile(r"^temporal_num_pollers(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)


def main(target: str) -> str | None:
    """What is wrong, or None."""
    if target != "worker":
        return None if _get(target) is not None else f"{target} does not answer 200"
    address = os.environ.get("EMITONCE_METRICS_ADDRESS", "")
    if not address:
        return "EMITONCE_METRICS_ADDRESS is not set, so there is nothing to ask"
    url = f"http://127.0.0.1:{address.rpartition(':')[2]}/metrics"
    metrics = _get(url)
    if metrics is None:
        return f"{url} does not answer 200"
    if not any(float(count) > 0 for count in POLLERS.findall(metrics)):
        return "no poller waits for tasks: the worker has no connection to Temporal"
    return None


def _get(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            return str(answer.read().decode()) if answer.status == 200 else None
    except (OSError, ValueError):
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
