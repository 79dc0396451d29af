"""An audit that could not be made is not one that found nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FINE = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
SKIPPED = {
    "name": "aiohttp",
    "skip_reason": "Dependency not found on PyPI and could not be audited",
}
OTHER = {"name": "httpx", "version": "1.0", "vulns": []}
FAULT = {"id": "PYSEC-1", "fix_versions": ["1.1"], "description": "", "aliases": []}
VULNERABLE = {"name": "httpx", "version": "1.0", "vulns": [FAULT]}

# Stands in for uv: exports two packages, and reports what it was given.
UV = """#!{python}
import sys
out = sys.argv[sys.argv.index("--output-file" if "export" in sys.argv else "--output") + 1]
if "export" in sys.argv:
    open(out, "w").write("aiohttp==3.14.5 \\\\\\n    --hash=sha256:0\\nhttpx==1.0 \\\\\\n")
elif {report!r} is not None:
    open(out, "w").write({report!r})
"""


@pytest.mark.parametrize(
    ("dependencies", "code", "said"),
    [
        ([FINE, OTHER], 0, "no known vulnerabilities; 2 of 2 locked packages"),
        ([SKIPPED, OTHER], 3, "NOT AUDITED: 1 of 2 locked packages"),
        ([OTHER], 3, "NOT AUDITED: 1 of 2 locked packages"),
        (None, 3, "NOT AUDITED: 0 of 2 locked packages"),
        ([FINE, VULNERABLE], 1, "httpx 1.0: PYSEC-1, fixed in 1.1"),
        ([SKIPPED, VULNERABLE], 1, "httpx 1.0: PYSEC-1, fixed in 1.1"),
    ],
    ids=["all", "one skipped", "one missing", "no report", "vulnerable", "vulnerable and skipped"],
)
def test_audit_says_what_it_has_found_and_what_it_could_not_look_up(
    tmp_path: Path, dependencies: list[dict[str, Any]] | None, code: int, said: str
) -> None:
    report = None if dependencies is None else json.dumps({"dependencies": dependencies})
    uv = tmp_path / "uv"
    uv.write_text(UV.format(python=sys.executable, report=report))
    uv.chmod(0o755)
    (tmp_path / "dist").mkdir()
    stale = {"dependencies": [FINE, OTHER]}
    (tmp_path / "dist" / "audit.json").write_text(json.dumps(stale))
    ran = subprocess.run(
        [sys.executable, ROOT / "tools" / "audit.py", uv],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == code, ran.stderr
    assert said in ran.stdout


PLANTED = {
    "an AWS key": 'key = "AKIA{}"'.format("Q3EGRZXNTW7YHKPL"),
    "a private key": "-----BEGIN {} KEY-----".format("RSA PRIVATE"),
    "a GitHub token": 'token = "ghp_{}{}"'.format("a1B2c3D4e5F6g7H8", "i9J0k1L2m3N4o5P6q7R8"),
    "an instance secret": 'secret = "{}{}="'.format(
        "pZ8v2K0sQx7uLr5Tn1Wc9Y", "b4Hf6Jd3Ma0EgViOkBtUq"
    ),
}
NO_SECRET = 'publishable = "mesh_pub_{}{}"'.format(
    "pZ8v2K0sQx7uLr5Tn1Wc9Y", "b4Hf6Jd3Ma0EgViOkBtUq"
)


def test_secret_scan_finds_planted_keys_and_nothing_else(tmp_path: Path) -> None:
    """Continuous integration scans the rest of the repository."""
    planted, clean = [], tmp_path / "clean.py"
    clean.write_text(f"{NO_SECRET}\n")
    for number, line in enumerate(PLANTED.values()):
        planted.append(tmp_path / f"planted{number}.py")
        planted[-1].write_text(f"{line}\n")
    files = " ".join(map(str, (clean, *planted)))
    found = subprocess.run(
        ["make", "--silent", "secrets", f"FILES={files}"], cwd=ROOT, capture_output=True, text=True
    )
    if "No solution found" in found.stderr or "Failed to fetch" in found.stderr:
        pytest.skip("detect-secrets can't be installed here")
    assert found.returncode != 0
    for file, what in zip(planted, PLANTED, strict=True):
        assert f"{file}:1" in found.stdout, f"{what} was not found"
    assert str(clean) not in found.stdout
