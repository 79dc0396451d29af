"""Look the locked packages up among known vulnerabilities, and say when that wasn't possible.

    python tools/audit.py UV

pip-audit succeeds when it has found nothing about a package, be it because nothing is known or
because the service that knows couldn't be asked. Exit codes: 0 all were looked up and nothing is
known, 1 a vulnerability is known, 3 not all were looked up, 2 used wrongly.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PIP_AUDIT = "pip-audit==2.10.1"
FOLDER = Path("dist")
NAMED = 5


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    code, said = judge(*_ask(arguments[0]))
    print(said)
    return code


def judge(locked: set[str], report: dict[str, Any]) -> tuple[int, str]:
    """Exit code and what to say of pip-audit's report about the packages that are locked."""
    found = report.get("dependencies", [])
    looked_up = {one["name"] for one in found if "vulns" in one}
    vulnerable = [
        f"{one['name']} {one['version']}: {fault['id']}, fixed in "
        f"{', '.join(fault['fix_versions']) or 'no version yet'}"
        for one in found
        for fault in one.get("vulns", [])
    ]
    missing = sorted(locked - looked_up)
    counts = f"{len(locked) - len(missing)} of {len(locked)} locked packages were looked up"
    if vulnerable:
        return 1, "\n".join([f"{len(vulnerable)} known vulnerabilities; {counts}", *vulnerable])
    if missing or not locked:
        named = ", ".join(missing[:NAMED]) + (" …" if len(missing) > NAMED else "")
        return 3, (
            f"NOT AUDITED: {counts}, so nothing is known of the others ({named}). pip-audit asks "
            "pypi.org, which a mirror can't stand in for: run this where it is reached"
        )
    return 0, f"no known vulnerabilities; {counts}"


def _ask(uv: str) -> tuple[set[str], dict[str, Any]]:
    FOLDER.mkdir(exist_ok=True)
    requirements, report = FOLDER / "requirements.txt", FOLDER / "audit.json"
    report.unlink(missing_ok=True)
    subprocess.run(
        [
            *(uv, "export", "--frozen", "--no-dev", "--extra", "mcp"),
            *("--no-emit-project", "--quiet"),
            *("--format", "requirements.txt", "--output-file", str(requirements)),
        ],
        check=True,
    )
    # It fails with 1 both for a vulnerability and for a service that isn't there.
    subprocess.run(
        [
            *(uv, "tool", "run", "--from", PIP_AUDIT, "pip-audit", "--disable-pip"),
            *("--require-hashes", "--requirement", str(requirements)),
            *("--progress-spinner", "off", "--format", "json", "--output", str(report)),
        ],
        check=False,
    )
    lines = requirements.read_text().splitlines()
    locked = {line.partition("==")[0] for line in lines if "==" in line and line[0].isalnum()}
    try:
        return locked, json.loads(report.read_text())
    except (OSError, ValueError):
        return locked, {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
