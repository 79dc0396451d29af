"""The page on the architecture is true of the code, and each package is under a contract."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

from tools.architecture import PAGE, ROOT, drawn, imports


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]


def tree(root: Path, **modules: str) -> Path:
    names = sorted({path.split("__")[0] for path in modules})
    (root / "pyproject.toml").write_text(f"[tool.ruff.lint.isort]\nknown-first-party = {names!r}\n")
    for path, text in modules.items():
        file = root / f"{path.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_every_way_of_importing_is_an_arrow(tmp_path) -> None:
    root = tree(
        tmp_path,
        low__a="import json",
        middle__b="from low.a import json",
        starter__api__c="from middle import b",
        starter__d="def later():\n    import low.a",
        top="from starter import api",
    )
    assert imports(root) == {
        "low": set(),
        "middle": {"low"},
        "starter/api": {"middle"},
        "starter": {"low"},
        "top": {"starter/api"},
    }


def test_an_arrow_that_follows_from_others_is_left_out() -> None:
    graph = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert drawn(graph) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


def test_every_package_is_under_the_contracts() -> None:
    packages = {
        name
        for name in project()["ruff"]["lint"]["isort"]["known-first-party"]
        if (ROOT / name).is_dir()
    }
    linter = project()["importlinter"]
    [layers] = [c["layers"] for c in linter["contracts"] if c["type"] == "layers"]
    [circles] = [c["ancestors"] for c in linter["contracts"] if c["type"] == "acyclic_siblings"]
    assert set(linter["root_packages"]) == packages
    assert {name for layer in layers for name in layer.split(" | ")} == packages
    assert set(circles) == packages


def test_an_identify_passes_through_the_fifteen_names_in_four_rooms_that_the_page_lists() -> None:
    trace = re.findall(r"(?m)^\d+\. `(\w+)` \(`(([a-z]+)/[\w/]+\.py)`\)", PAGE.read_text())
    assert (trace[0][0], trace[-1][0]) == ("Delivery", "CallResult")
    assert len(trace) <= 15
    assert len({room for _, _, room in trace}) <= 4
    for name, file, _ in trace:
        defined = ast.parse((ROOT / file).read_text()).body
        assert name in {getattr(node, "name", None) for node in defined}, f"{name} in {file}"
