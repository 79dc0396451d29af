"""`emitonce workspaces …`"""

from __future__ import annotations

from typing import Annotated

import typer

from catalog.paging import read_all
from catalog.workspaces import Workspace
from starter.cli.context import ThisWorkspace
from starter.cli.dependencies import Dependencies, command, recorded
from starter.cli.erase import workspaces_erase
from starter.cli.output import Json, print_answer, print_records
from starter.cli.quotas import workspace_quota
from starter.json_objects import moment, workspace_object

workspaces = typer.Typer(help="Workspaces: each owns connections, rules and events.")


@command(workspaces, "create")
@recorded("create_workspace")
async def create(
    parts: Dependencies,
    name: Annotated[str, typer.Option(help="3 to 50 letters, digits, spaces, _ or -.")],
    description: Annotated[str | None, typer.Option()] = None,
    as_json: Json = False,
) -> None:
    """Create a workspace."""
    made = await parts.catalog.workspaces.create(
        parts.organization, name=name, description=description
    )
    parts.made["workspace_id"] = made.id
    print_answer({"workspace": workspace_object(made)}, _words(made), as_json=as_json)


@command(workspaces, "list")
async def list_all(parts: Dependencies, as_json: Json = False) -> None:
    """List the workspaces, newest first."""
    found = await read_all(parts.catalog.workspaces.list, parts.organization)
    print_records(
        [workspace_object(workspace) for workspace in found],
        ("id", "name", "created"),
        [(one.id, one.name, moment(one.created_at)) for one in found],
        empty="no workspace yet: emitonce workspaces create --name 'My app'",
        as_json=as_json,
    )


@command(workspaces, "rename")
@recorded("update_workspace")
async def rename(
    parts: Dependencies,
    workspace: ThisWorkspace,
    name: Annotated[str, typer.Argument(help="3 to 50 letters, digits, spaces, _ or -.")],
    as_json: Json = False,
) -> None:
    """Give a workspace another name. Its id stays."""
    known = await parts.catalog.workspaces.get(parts.organization, workspace)
    changed = await parts.catalog.workspaces.update(
        parts.organization, workspace, name=name, description=known.description
    )
    print_answer(workspace_object(changed), _words(changed), as_json=as_json)


def _words(workspace: Workspace) -> str:
    return f"workspace {workspace.id}  {workspace.name}"


workspaces.command("erase")(workspaces_erase)
workspaces.command("quota")(workspace_quota)
