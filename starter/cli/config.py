"""`emitonce config …`: connections without secrets, mappings and rules as a file."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from catalog.all_or_nothing import all_or_nothing
from catalog.paging import read_all
from delivery.validation import first_fault
from destinations import registry
from starter.cli.context import OnlyOfWorkspace
from starter.cli.dependencies import CREATED_BY, Dependencies, command, recorded, with_dependencies
from starter.cli.errors import CommandFailed, Exit
from starter.cli.held import tell_held
from starter.cli.output import Json, console, print_json, say
from starter.configuration import (
    Applying,
    Change,
    Configuration,
    Stored,
    document,
    read_stored,
)

config = typer.Typer(help="Configuration as code: a file, compared and applied.")

LARGEST_FILE = 4 * 1024 * 1024
SHOWN = 80  # characters of a value
_REVISION = re.compile(r"^revision: .*$", re.MULTILINE)
_SIGNS = {"create": "+", "update": "~", "delete": "-"}


@command(config, "export")
async def export(
    parts: Dependencies, workspace: OnlyOfWorkspace = None, as_json: Json = False
) -> None:
    """Print connections without secrets, mappings and rules as YAML, for `config apply`."""
    known = await read_all(parts.catalog.workspaces.list, parts.organization)
    chosen = [one for one in known if workspace in (None, one.id)]
    if not chosen:
        raise CommandFailed(Exit.NOT_FOUND, "there is no workspace to export")
    ids = [one.id for one in chosen]
    async with all_or_nothing(parts.catalog, registry, parts.organization, ids) as writing:
        stored = [
            await read_stored(writing, parts.organization, one.id, one.name)
            for one in sorted(chosen, key=lambda one: one.name)
        ]
    shown = document(stored)
    if as_json:
        print_json(shown)
        return
    written = io.StringIO()
    yaml = _yaml()
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(shown, written)
    sys.stdout.write(written.getvalue())


@config.command("apply")
def apply(
    file: Annotated[str, typer.Argument(help="What `config export` has printed; - reads it.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; change nothing.")
    ] = False,
    delete_rules: Annotated[
        bool, typer.Option("--delete-rules", help="Delete rules that the file doesn't have.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Undo what others changed since the export.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make workspaces match a file: everything in one transaction, or nothing.

    Workspaces and connections are found by name and have to exist. A connection that the file
    doesn't have stays; secrets, pauses and keys are never touched.
    """
    text = _read(file)
    wanted = _parse(text)
    changes, revision = _apply(wanted, dry_run, delete_rules, overwrite)
    if as_json:
        print_json({"applied": not dry_run, "changes": [asdict(one) for one in changes]})
    else:
        _show(changes)
    if changes and not dry_run and wanted.revision is not None and file != "-":
        Path(file).write_text(_REVISION.sub(f'revision: "{revision}"', text, count=1))
        say(f"the file's revision is {revision} now")


def _apply(
    wanted: Configuration, dry_run: bool, delete_rules: bool, overwrite: bool
) -> tuple[list[Change], str]:
    @with_dependencies
    async def run(parts: Dependencies) -> tuple[list[Change], str]:
        changes: list[Change] = []
        make = _make if dry_run else recorded("apply_configuration")(_make)
        try:
            return await make(parts, wanted, changes, dry_run, delete_rules, overwrite)
        except _NotKept:
            return changes, ""

    return run()


class _NotKept(Exception):
    """Ends a dry run: the transaction is rolled back."""


async def _make(
    parts: Dependencies,
    wanted: Configuration,
    changes: list[Change],
    dry_run: bool,
    delete_rules: bool,
    overwrite: bool,
) -> tuple[list[Change], str]:
    organization = parts.organization
    ids = {one.name: (await parts.names.workspace(one.name)).id for one in wanted.workspaces}
    if len(ids) < len(wanted.workspaces):
        raise CommandFailed(Exit.REFUSED, "the file has a workspace twice")
    async with all_or_nothing(parts.catalog, registry, organization, ids.values()) as writing:

        async def read() -> list[Stored]:
            return [
                await read_stored(writing, organization, ids[name], name) for name in sorted(ids)
            ]

        stored = await read()
        current = document(stored)["revision"]
        by_name = {one.workspace.name: one for one in stored}
        for workspace in wanted.workspaces:
            known = by_name[workspace.name]
            applying = Applying(writing, organization, CREATED_BY, known, changes)
            await applying.workspace(workspace)
        deleted = [one for one in changes if one.change == "delete"]
        if changes and wanted.revision not in (None, current) and not overwrite:
            raise CommandFailed(
                Exit.REFUSED,
                f"the file is stale: it was exported at revision {wanted.revision}, and others "
                f"have changed its workspaces since ({current}). Export again, or undo their "
                f"changes with --overwrite. The difference:\n{_words(changes)}",
            )
        if deleted and not delete_rules and not dry_run:
            raise CommandFailed(
                Exit.REFUSED,
                f"the file lacks {len(deleted)} rules, so they would be deleted; to do so, give "
                f"--delete-rules:\n{_words(deleted)}",
            )
        if dry_run:
            raise _NotKept
        revision = document(await read())["revision"]
    parts.made.update({f"workspace_{number}": id for number, id in enumerate(ids.values(), 1)})
    parts.made.update({f"{one.kind}_{number}": one.id for number, one in enumerate(changes, 1)})
    renewed = [
        one.id
        for one in changes
        if one.kind == "connection" and any(name.startswith("settings.") for name in one.fields)
    ]
    if renewed:
        await tell_held(parts, *renewed)
    return changes, revision


def _yaml() -> YAML:
    """Return a reader and writer of YAML 1.2: plain data only, and no key twice."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    return yaml


def _read(file: str) -> str:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as err:
        raise typer.BadParameter(f"{file} can't be read: {err}") from None
    if len(text) > LARGEST_FILE:
        raise typer.BadParameter(f"{file} is larger than {LARGEST_FILE} characters")
    return text


def _parse(text: str) -> Configuration:
    try:
        read = _yaml().load(text)
    except DuplicateKeyError as err:
        raise typer.BadParameter(f"has a key twice{_place(err)}") from None
    except (YAMLError, ValueError) as err:  # ValueError: a date or number that can't be
        raise typer.BadParameter(f"is not YAML{_place(err)}") from None
    except RecursionError:
        raise typer.BadParameter("is nested too deeply") from None
    if _characters(read, {}) > LARGEST_FILE:
        raise typer.BadParameter(
            f"is larger than {LARGEST_FILE} characters with each alias written out"
        )
    try:
        return Configuration.model_validate(read)
    except ValidationError as err:
        raise typer.BadParameter(": ".join(first_fault(err))) from None


def _place(error: Exception) -> str:
    """Say where, without what is written there: by mistake it may be a secret."""
    mark = getattr(error, "problem_mark", None)
    return f": look at line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _characters(value: object, known: dict[int, int]) -> int:
    """Count a value's characters, at least, with each alias written out: a short file may stand for
    more than fits into memory. What holds itself is too large."""
    if not isinstance(value, dict | list):
        return len(value) if isinstance(value, str) else 1
    if id(value) not in known:
        known[id(value)] = LARGEST_FILE + 1
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_characters(one, known) for one in inner)
    return known[id(value)]


def _show(changes: Sequence[Change]) -> None:
    console.print(_words(changes) or "no changes", markup=False, soft_wrap=True)


def _words(changes: Sequence[Change]) -> str:
    lines = []
    for one in changes:
        lines.append(f"{_SIGNS[one.change]} {one.workspace}: {one.kind} {one.name}")
        lines += [
            f"    {name}: {_short(old)} → {_short(new)}" for name, (old, new) in one.fields.items()
        ]
    return "\n".join(lines)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
