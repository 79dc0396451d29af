"""Build the documentation's site: `python -m tools.site`, or `make site`.

Its pages are those of `docs/`, and references that are made of settings, commands and routes. It is
built strictly: a warning, or a page that the navigation lacks, ends the build.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tools.references import commands, routes, settings

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = ROOT / "dist" / "site" / "pages"
HTML = ROOT / "dist" / "site" / "html"
REFERENCES = {
    "reference-settings.md": settings,
    "reference-commands.md": commands,
    "reference-routes.md": routes,
}
# To a file of the repository that is no page.
_ELSEWHERE = re.compile(r"(?<!!)\[([^\]]+)\]\(\.\./([^)]+)\)")


def main() -> None:
    shutil.rmtree(PAGES.parent, ignore_errors=True)
    shutil.copytree(DOCS, PAGES)
    for page in PAGES.glob("*.md"):
        page.write_text(_ELSEWHERE.sub(_named, page.read_text()))
    for name, make in REFERENCES.items():
        (PAGES / name).write_text(make())
    told = _navigation()
    if missing := {page.name for page in PAGES.glob("*.md")} - set(told):
        sys.exit(f"zensical.toml's navigation lacks {', '.join(sorted(missing))}")
    build = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    subprocess.run(build, cwd=ROOT, check=True)
    (HTML / "llms.txt").write_text(overview(told))
    (HTML / "llms-full.txt").write_text("\n\n".join((PAGES / name).read_text() for name in told))


def _named(link: re.Match[str]) -> str:
    """The site has no copy of the repository, so say where the file is instead."""
    text, path = link[1], link[2]
    return f"`{path}`" if text.strip("`") == path else f"{text} (`{path}`)"


def _navigation() -> dict[str, str]:
    """Each page's file and title, in order."""
    found: dict[str, str] = {}

    def read(entries: list[dict[str, object]]) -> None:
        for entry in entries:
            for title, target in entry.items():
                if isinstance(target, list):
                    read(target)
                else:
                    found[str(target)] = title

    read(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"])
    return found


def overview(told: dict[str, str]) -> str:
    """Return `llms.txt` (llmstxt.org): what the pages are about, for a language model to choose."""
    lines = ["# emitonce", "", f"> {first_paragraph((PAGES / 'index.md').read_text())}", ""]
    for name, title in told.items():
        about = first_paragraph((PAGES / name).read_text())
        lines.append(f"- [{title}]({name.removesuffix('.md')}.html): {about}")
    return "\n".join([*lines, "", "All pages in one file: llms-full.txt", ""])


def first_paragraph(page: str) -> str:
    for block in page.split("\n\n"):
        text = " ".join(block.split())
        if text and not text.startswith(("#", "|", "!", "<", "```", ">")):
            return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)
    return ""


if __name__ == "__main__":
    main()
