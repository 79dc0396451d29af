"""The references of the site: what settings, commands and routes there are, as they say it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any

from fastapi.routing import APIRoute

from settings import Settings
from starter.api.app import MANAGEMENT, PREFIX, ingestion
from starter.api.routing import scope_of
from starter.cli.commands import COMMANDS, load


def settings() -> str:
    lines = ["# Settings", "", inspect.getdoc(Settings) or "", ""]
    waiting: list[str] = []
    for name, told in _attributes():
        waiting.append(name)
        if told:
            lines += [f"## {', '.join(_heading(one) for one in waiting)}", ""]
            lines += [f"Default: {_default(one)}." for one in waiting[:1]]
            lines += ["", told, ""]
            waiting = []
    return "\n".join(lines)


def _heading(name: str) -> str:
    return f"`EMITONCE_{name.upper()}`"


def _default(name: str) -> str:
    default = Settings.model_fields[name].get_default()
    return "none" if default in (None, frozenset(), {}, ()) else f"`{default}`"


def _attributes() -> Iterator[tuple[str, str]]:
    """Each field of the settings, with the text below it; empty where the next one's tells."""
    (whole,) = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(whole, ast.ClassDef)
    for field, below in zip(whole.body, [*whole.body[1:], ast.Pass()], strict=True):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if field.target.id in Settings.model_fields:
            text = ""
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                text = inspect.cleandoc(str(below.value.value))
            yield field.target.id, text


def commands() -> str:
    lines = ["# Commands", "", "Every command answers `--help`; most take `--json`.", ""]
    for name in COMMANDS:
        lines += _command(f"emitonce {name}", load(name))
    return "\n".join(lines)


def _command(said: str, command: Any) -> list[str]:
    lines = [f"## `{said}`" if said.count(" ") == 1 else f"### `{said}`", ""]
    lines += [inspect.cleandoc(command.help or "").replace("\b", ""), ""]
    if hasattr(command, "commands"):
        for name, one in command.commands.items():
            lines += _command(f"{said} {name}", one)
        return lines
    rows = [
        f"| {_spelled(one)} | {(getattr(one, 'help', None) or '').replace('|', '/')} |"
        for one in command.params
        if one.name not in ("help", "install_completion", "show_completion")
    ]
    return [*lines, "| | |", "| --- | --- |", *rows, ""] if rows else lines


def _spelled(one: Any) -> str:
    if one.param_type_name == "argument":
        return f"`{(one.name or '').upper()}`"
    return ", ".join(f"`{opt}`" for opt in [*one.opts, *one.secondary_opts])


def routes() -> str:
    lines = [
        "# Routes of the API",
        "",
        "What a route takes and answers is at `/docs` of a running API, made of its OpenAPI "
        "document (`/openapi.json`). *Scope*: what a key needs ([scopes](scopes.md)).",
        "",
        "| | | scope | what it does |",
        "| --- | --- | --- | --- |",
    ]
    for module in (ingestion, *MANAGEMENT):
        for route in module.router.routes:
            if not isinstance(route, APIRoute) or not route.include_in_schema:
                continue
            told = (route.summary or inspect.getdoc(route.endpoint) or "").split("\n\n")[0]
            method = "/".join(sorted(route.methods))
            path = f"{PREFIX}{route.path}"
            does = " ".join(told.split())
            lines.append(f"| {method} | `{path}` | {scope_of(route) or ''} | {does} |")
    return "\n".join([*lines, ""])
