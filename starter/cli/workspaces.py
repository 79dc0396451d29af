"""`emitonce workspaces …`"""

from __future__ import annotations

from typing import Annotated

import typer

from starter.cli.erase import workspaces_erase
from starter.cli.output import Json, console, print_json, print_table
from starter.cli.parts import Parts, with_parts
from starter.cli.quotas import workspace_quota
from starter.shapes import workspace_object

workspaces = typer.Typer(help="Workspaces: each owns connections, rules and events.")


@workspaces.command("create")
def create(
    name: Annotated[str, typer.Option(help="3 to 50 letters, digits, blanks, _ or -.")],
    description: Annotated[str | None, typer.Option()] = None,
    as_json: Json = False,
) -> None:
    """Create a workspace."""
    made = with_parts(
        lambda parts: parts.catalog.workspaces.create(
            parts.organisation, name=name, description=description
        )
    )
    if as_json:
        print_json({"workspace": workspace_object(made)})
    else:
        console.print(f"workspace {made.id}  {made.name}", markup=False)


@workspaces.command("list")
def list_all(as_json: Json = False) -> None:
    """List the workspaces, newest first."""

    async def read(parts: Parts) -> list[dict[str, object]]:
        shown, cursor = [], None
        while True:
            page = await parts.catalog.workspaces.list(parts.organisation, limit=200, cursor=cursor)
            shown += [workspace_object(workspace) for workspace in page.records]
            if (cursor := page.next_cursor) is None:
                return shown

    found = with_parts(read)
    if as_json:
        print_json({"count": len(found), "limit": 200, "next_cursor": None, "records": found})
        return
    print_table(
        ("id", "name", "created"),
        [(str(w["id"]), str(w["name"]), str(w["created_at"])) for w in found],
        empty="no workspace yet: emitonce workspaces create --name 'My app'",
    )


workspaces.command("erase")(workspaces_erase)
workspaces.command("quota")(workspace_quota)
