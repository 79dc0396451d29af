"""The image is built from all of the code: what is left out only shows when a container starts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def copied() -> set[str]:
    """What the Dockerfile copies from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    return {name for line in lines for name in line.split()}


def test_every_package_and_module_is_in_the_image() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    ours = set(project["tool"]["ruff"]["lint"]["isort"]["known-first-party"])
    assert ours == {
        name.removesuffix(".py")
        for name in copied()
        if re.fullmatch(r"\w+\.py", name) or (ROOT / name / "__init__.py").exists()
    }


def test_the_build_is_sent_what_it_copies() -> None:
    sent = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.M))
    assert copied() <= sent
