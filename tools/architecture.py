"""Draw which package imports which into docs/architecture.md: `python -m tools.architecture`.

With `--check` nothing is written; the exit code is 1 if the picture is out of date, or if the page
names a file that isn't there. An arrow that follows from others is left out: a → c, where
a → b → c is drawn.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PICTURE = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)
NAMED = re.compile(r"`([\w/]+(?:/|\.py))`")

Graph = dict[str, set[str]]


def imports(root: Path = ROOT) -> Graph:
    """What each of our packages and top-level modules imports of the others.

    Those of `starter` are packages of their own; its modules are shared by them.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text())
    names: list[str] = project["tool"]["ruff"]["lint"]["isort"]["known-first-party"]
    graph: Graph = {}
    for name in names:
        files = (root / name).rglob("*.py") if (root / name).is_dir() else [root / f"{name}.py"]
        for file in files:
            package = _package(root, file.relative_to(root).with_suffix("").parts)
            imported = {_package(root, parts) for parts in _imported(file) if parts[0] in names}
            graph.setdefault(package, set()).update(imported - {package})
    return graph


def _imported(file: Path) -> Iterator[tuple[str, ...]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                yield (*node.module.split("."), name.name)
        elif isinstance(node, ast.Import):
            for name in node.names:
                yield tuple(name.name.split("."))


def _package(root: Path, parts: tuple[str, ...]) -> str:
    inner = parts[0] == "starter" and len(parts) > 1 and (root / "starter" / parts[1]).is_dir()
    return "/".join(parts[:2]) if inner else parts[0]


def drawn(graph: Graph) -> Graph:
    """The arrows that don't follow from others. The graph has no circle."""
    return {
        package: {
            target
            for target in targets
            if not any(target in _reached(graph, other) for other in targets - {target})
        }
        for package, targets in graph.items()
    }


def _reached(graph: Graph, package: str) -> set[str]:
    direct = graph.get(package, set())
    return direct.union(*(_reached(graph, target) for target in direct))


def mermaid(graph: Graph) -> str:
    arrows = (
        f"    {package} --> {target}\n"
        for package, targets in sorted(drawn(graph).items())
        for target in sorted(targets)
    )
    return "flowchart TD\n" + "".join(arrows)


def main() -> None:
    page = PAGE.read_text()
    current = PICTURE.sub(lambda _: mermaid(imports()), page, count=1)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(current)
    elif current != page:
        sys.exit("docs/architecture.md is out of date: run python -m tools.architecture")
    if missing := [path for path in NAMED.findall(page) if not (ROOT / path).exists()]:
        sys.exit(f"docs/architecture.md names what isn't there: {', '.join(missing)}")


if __name__ == "__main__":
    main()
