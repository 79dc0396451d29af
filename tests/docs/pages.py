"""The pages that people read, and what is in them: commands, settings, links."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        ROOT / "examples" / "README.md",
        ROOT / "packages" / "emitonce" / "README.md",
    ]
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_SETTING = re.compile(r"\bEMITONCE_[A-Z][A-Z_]*[A-Z]\b")
_SHELLS = ("sh", "bash", "console")


@dataclass(frozen=True)
class Page:
    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    def scripts(self) -> list[str]:
        """Fenced `sh` blocks, which a reader would run one after the other."""
        return [body for language, body in _FENCE.findall(self.text) if language == "sh"]

    def commands(self, program: str) -> list[list[str]]:
        """Every call of a program, in fences and in running text, as words."""
        lines: list[str] = list(_INLINE.findall(_FENCE.sub("", self.text)))
        for language, body in _FENCE.findall(self.text):
            if language in _SHELLS:
                lines += body.replace("\\\n", " ").splitlines()
        found = []
        for line in lines:
            for part in re.split(r"\$\(|\||&&|;", line.removeprefix("$ ")):
                call = re.match(rf"(?:\w+=\S*\s+)*{program}((?:\s.*)?)$", part.strip())
                if call:
                    found.append(_words(call[1]))
        return found

    def table(self, heading: str) -> list[dict[str, str]]:
        """The rows of the first table below a heading, by the names of its columns."""
        below = self.text.partition(f"# {heading}\n")[2]
        lines = [line for line in below.partition("\n#")[0].splitlines() if line.startswith("|")]
        names, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def links(self) -> list[str]:
        return [link for link in _LINK.findall(self.text) if "://" not in link]

    def settings(self) -> set[str]:
        return set(_SETTING.findall(self.text))


def _words(text: str) -> list[str]:
    text = text.partition(" #")[0].rstrip(") ")
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
