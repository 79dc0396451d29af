"""What the pages name exists: commands with their options, make targets, settings, files."""

from __future__ import annotations

import re

import pytest
import typer

from settings import Settings
from starter.cli.commands import load
from starter.cli.main import app
from tests.docs.pages import PAGES, ROOT, Page

# Read by other programs than through the settings.
OTHER_SETTINGS = {
    "EMITONCE_URL",
    "EMITONCE_ORGANIZATION",
    "EMITONCE_ACCESS_KEY",
    "EMITONCE_SECRET_KEY",
    "EMITONCE_PUBLISHABLE_KEY",
    "EMITONCE_TOKEN",
    "EMITONCE_SECRETS_DIR",
    "EMITONCE_LOG_LEVEL",
    "EMITONCE_PAYLOAD_KEY",
    "EMITONCE_VERSION",
}
MAKEFILE = (ROOT / "Makefile").read_text()
HELP = re.findall(r'^\t@echo "make ([\w-]+) ', MAKEFILE, re.MULTILINE)
pages = pytest.mark.parametrize("page", [Page(path) for path in PAGES], ids=lambda page: page.name)


@pages
def test_commands_and_options_exist(page: Page) -> None:
    root = typer.main.get_command(app)
    for words in page.commands("emitonce"):
        command, path = root, []
        while words and words[0] in getattr(command, "commands", ()):
            path.append(words.pop(0))
            command = load(path[0]) if command is root else command.commands[path[-1]]
        rest = [word for word in words if word not in ("…", "...")]
        said = " ".join(["emitonce", *path, *rest])
        if hasattr(command, "commands"):
            assert not rest or rest[0].startswith("-"), f"{said}: no such command"
        options = {option for parameter in command.params for option in parameter.opts}
        for word in rest:
            if word.startswith("--"):
                assert word.partition("=")[0] in options | {"--help"}, f"{said}: no option {word}"


@pages
def test_make_targets_are_in_its_help(page: Page) -> None:
    for words in page.commands("make"):
        assert words
        assert words[0] in {"help", *HELP}, f"make {words[0]}"


def test_help_of_make_names_targets_that_exist() -> None:
    assert set(HELP) <= set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))


@pages
def test_settings_exist(page: Page) -> None:
    known = {f"EMITONCE_{name.upper()}" for name in Settings.model_fields} | OTHER_SETTINGS
    unknown = {
        name for name in page.settings() if name not in known and "EMITONCE_TEST_" not in name
    }
    assert not unknown


@pages
def test_links_lead_somewhere(page: Page) -> None:
    broken = [link for link in page.links() if not (page.path.parent / link).exists()]
    assert not broken


FAULTS = Page(ROOT / "docs" / "operations.md").table("What happens to an event at each fault")


def test_faults_of_every_part_are_told() -> None:
    parts = {row["part"] for row in FAULTS} - {""}
    assert {"PostgreSQL", "Temporal", "worker", "Customer.io", "key"} <= parts


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: row["fault"])
def test_what_happens_at_a_fault_is_shown_by_a_test(row: dict[str, str]) -> None:
    name = row["shown by"].strip("`")
    assert name.startswith("test_")
    defined = re.compile(rf"^(?:async )?def {name}\(", re.MULTILINE)
    files = (ROOT / "tests").rglob("test_*.py")
    assert any(defined.search(file.read_text()) for file in files), f"there is no {name}"
