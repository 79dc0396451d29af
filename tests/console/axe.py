"""axe-core, which finds what keeps people from using a page. Fetched from npm, once."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

VERSION = "4.14.1"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emitonce"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SERIOUS = ("serious", "critical")


def axe_source() -> str:
    """The script. Skips the test where npm, or what it asks, is away."""
    kept = CACHE / f"axe-core-{VERSION}.min.js"
    if not kept.exists():
        source = _fetched()
        CACHE.mkdir(parents=True, exist_ok=True)
        draft = kept.with_name(f"{kept.name}.{os.getpid()}")
        draft.write_bytes(source)
        draft.replace(kept)
    source = kept.read_bytes()
    assert hashlib.sha256(source).hexdigest() == SHA256, f"{kept} is not axe-core {VERSION}"
    return source.decode()


async def faults(
    page: Page,
    source: str,
    *,
    rule: str | None = None,
    impacts: Collection[str] | None = SERIOUS,
) -> list[str]:
    """What it finds serious, by rule and element; of one `rule` alone, or of all. With `impacts` of
    None, whatever it finds."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(source)
    found: dict[str, Any] = await page.evaluate(
        "only => axe.run(document, {resultTypes: ['violations'], runOnly: only})",
        [rule] if rule else TAGS,
    )
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        if impacts is None or violation["impact"] in impacts
        for node in violation["nodes"]
    ]


def _fetched() -> bytes:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, so axe-core can't be fetched: apt-get install npm")
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["npm", "pack", "--silent", f"axe-core@{VERSION}"],
            cwd=folder,
            capture_output=True,
            timeout=60,
            check=False,
        )
        if packed.returncode != 0:
            pytest.skip(f"axe-core {VERSION} can't be fetched from npm")
        archive = (Path(folder) / packed.stdout.decode().strip()).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        member = files.extractfile("package/axe.min.js")
        assert member is not None
        return member.read()
