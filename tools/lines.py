"""Count the logical lines of the Python that ships, by package: `python -m tools.lines [commit]`.

A logical line is a statement, however many lines it is written on (PEP 8's and tokenize's sense).
Docstrings and comments don't count.
"""

from __future__ import annotations

import ast
import io
import shutil
import subprocess
import sys
import tokenize
from collections import Counter

NOT_SHIPPED = ("tests/", "bench/", "examples/")


def logical_lines(source: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    ends = sum(token.type == tokenize.NEWLINE for token in tokens)
    return ends - sum(_has_docstring(node) for node in ast.walk(ast.parse(source)))


def _has_docstring(node: ast.AST) -> bool:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return isinstance(node, documented) and ast.get_docstring(node) is not None


def by_package(commit: str) -> Counter[str]:
    """The logical lines of each package at a commit; modules of the top level by their names."""
    counts: Counter[str] = Counter()
    for path in _git("ls-tree", "-r", "--name-only", commit).splitlines():
        if path.endswith(".py") and not path.startswith(NOT_SHIPPED):
            counts[path.split("/")[0]] += logical_lines(_git("show", f"{commit}:{path}"))
    return counts


def _git(*arguments: str) -> str:
    command = [shutil.which("git") or "git", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    counts = by_package(sys.argv[1] if len(sys.argv) > 1 else "HEAD")
    for package, count in sorted(counts.items()):
        print(f"{count:7,}  {package}")
    print(f"{counts.total():7,}  in all")


if __name__ == "__main__":
    main()
