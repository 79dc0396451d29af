"""Broken releases, for a run to find out: each changes the code of one, in a folder of its own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from tests.upgrade.run import Releases

LEFT_OUT = shutil.ignore_patterns(".*", "tests", "docs", "bench", "node_modules", "__pycache__")


def with_an_unreadable_schema(releases: Releases) -> Releases:
    """This release renames what R0 reads, and doesn't say that its migration is breaking."""
    first, r0, this = releases
    root = first.root.parent / "unreadable"
    shutil.copytree(this.root, root, ignore=LEFT_OUT)
    migration = root / "catalog/migrations/9000_renamed.sql"
    migration.write_text("ALTER TABLE workers RENAME COLUMN counted TO counted_by_it;\n")
    _change(root / "catalog/workers.py", "counted", "counted_by_it")
    return first, r0, replace(this, root=root)


def where_r0_drops_builds(releases: Releases) -> Releases:
    """R0 doesn't ask what the fleet uses, and reads a run's rules without their build."""
    root = releases[1].root
    _change(root / "catalog/workers.py", "knows.lacks(await _in_use(conn))", "()")
    _change(root / "workflows/deliver_event.py", "THIS_RELEASE.check(matched)", "pass")
    _change(root / "activities/match_rules.py", 'rule.model_copy(update={"build": build})', "rule")
    _change(root / "delivery/rule.py", "    build: int = 1\n", "")
    return releases


def _change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new))
