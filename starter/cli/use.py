"""`emitonce use`"""

from __future__ import annotations

from typing import Annotated

import typer

from starter.cli.context import IN_USE, write_in_use
from starter.cli.dependencies import Dependencies, with_dependencies
from starter.cli.output import Json, print_answer
from starter.json_objects import workspace_object


@with_dependencies
async def use(
    parts: Dependencies,
    workspace: Annotated[
        str,
        typer.Argument(metavar="WORKSPACE", help="By id or name. Absent: say which is in use."),
    ] = IN_USE,
    forget: Annotated[bool, typer.Option("--none", help="Use none from now on.")] = False,
    as_json: Json = False,
) -> None:
    """Choose the workspace for commands that don't name one, in this data directory.

    EMITONCE_WORKSPACE and --workspace take precedence.
    """
    if forget:
        write_in_use(parts.settings.data_dir, None)
        print_answer({"workspace": None}, "no workspace is in use", as_json=as_json)
        return
    found = await parts.names.workspace(workspace)
    if workspace != IN_USE:
        write_in_use(parts.settings.data_dir, found.id)
    shown = {"workspace": workspace_object(found)}
    print_answer(shown, f"workspace {found.id}  {found.name}", as_json=as_json)
