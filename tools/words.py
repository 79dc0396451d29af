"""Find words that the project's prose avoids: `python -m tools.words`.

Reads docstrings, comments and texts of Python files, and what templates show.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

# All that ships.
CHECKED = (
    "activities",
    "catalog",
    "clear_text.py",
    "delivery",
    "deploy",
    "destinations",
    "emitonce",
    "engine",
    "eventlog",
    "operations",
    "key_provider.py",
    "process.py",
    "settings.py",
    "starter",
    "worker.py",
    "workflows",
)

# What to avoid, as regular expressions, and what to write instead.
AVOIDED = {
    r"(?<!right )away": "unavailable, or say what happens",
    r"mend(s|ed|ing)?": "fix",
    r"anew": "again",
    r"(?<!stands )(?<!stand )(?<!left )alone": "only",
    r"begins?|began|begun|beginning": "start",
    r"tells?|told|telling": "report, say, notify, distinguish",
    r"(takes?|took|taken|taking) (in |no )?(deliveries|events|requests)": "accept",
    r"(Customer\.io|vendor|server|receiver|transforms?|field) takes?": "accept, need",
    r"(can't|cannot|not) take|(is|are|was|were|be) taken (for|to|in)": "accept, read as",
    r"(?<!there )(is|are|was|were) no (?!longer\b|more\b|less\b|fewer\b)": "is not a",
    r"this is none": "what it is",
    r"(up to|after|about|within|beyond|until|only|at) so (many|much)": "the number, or its name",
    r"(sent|built|decided|looks) otherwise": "differently",
    r"amiss|affairs?": "wrong, matter",
    r"\w*(organis|recognis|authoris|initialis|serialis|normalis|optimis|summaris)\w+": "-ize",
    r"(un)?cancell(ed|ing)": "canceled, canceling",
    r"\w*(behaviour|colour|favour|honour|neighbour)\w*": "-or",
    r"(un)?labelled|travell\w+|signall\w+|catalogues?|centre\w*|licence|defence|grey|whilst": "US",
}
_AVOIDED = [
    (re.compile(rf"\b(?:{words})\b", re.IGNORECASE), better) for words, better in AVOIDED.items()
]

_SQL = re.compile(r"(SELECT|INSERT INTO|UPDATE|DELETE FROM) ")  # tables keep their names

# Where one of them is right: the file, and the words around it.
ALLOWED: frozenset[tuple[str, str]] = frozenset()


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every text of a file, as one line, with the number of the line where it starts."""
    source = path.read_text()
    if path.suffix != ".py":
        shown = re.sub(
            r"(?s){[{%#].*?[}%#]}|<[^>]*>", lambda code: " " + "\n" * code[0].count("\n"), source
        )
        yield from enumerate(shown.splitlines(), 1)
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, " ".join(node.value.split())
    yield from _comments(source)


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield every comment; those on consecutive lines are one text."""
    start, last, lines = 0, 0, [""]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last + 1:
                yield start, " ".join(lines)
                start, lines = token.start[0], []
            last = token.start[0]
            lines.append(token.string.lstrip("# "))
    yield start, " ".join(lines)


def findings(path: Path) -> Iterator[str]:
    """Describe what to change in a file, one line each."""
    for line, text in texts(path):
        text = re.sub(r"`[^`]*`", "`…`", text)
        if path.suffix == ".py" and (" " not in text or _SQL.match(text)):  # a name, not prose
            continue
        for avoided, better in _AVOIDED:
            for found in avoided.finditer(text):
                around = text[max(found.start() - 30, 0) : found.end() + 30]
                if not any(str(path) == file and words in around for file, words in ALLOWED):
                    yield f"{path}:{line}: “{found[0]}” in “{around}”: {better}"


def _files(place: str) -> list[Path]:
    paths = [Path(place)] if Path(place).is_file() else sorted(Path(place).rglob("*"))
    chosen = [path for path in paths if path.suffix in (".py", ".html")]
    if not chosen:
        sys.exit(f"words: nothing to check in {place}; correct its name in CHECKED")
    return chosen


def main() -> None:
    found = [finding for place in CHECKED for path in _files(place) for finding in findings(path)]
    print("\n".join(found) or "words: none to avoid")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
