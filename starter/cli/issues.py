"""`emitonce issues …`: failed events by connection and reason."""

from __future__ import annotations

from datetime import UTC

import typer

from starter.cli.context import IN_USE, InWorkspace
from starter.cli.dependencies import Dependencies, command
from starter.cli.moments import Since, Until
from starter.cli.output import Json, print_json, print_table, say
from starter.issue_objects import issues_object, workspace_issues

issues = typer.Typer(help="Issues: failed events by connection and reason.")


@command(issues, "list")
async def list_all(
    parts: Dependencies,
    workspace: InWorkspace = IN_USE,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """List why events failed, the reason with most events first. Default: of the last 7 days."""
    known = await parts.catalog.workspaces.get(parts.organization, workspace)
    read = await workspace_issues(
        await parts.temporal(),
        parts.catalog,
        parts.organization,
        known.id,
        accepted_from=since,
        accepted_to=until,
    )
    if as_json:
        print_json(issues_object(read))
        return
    rows = []
    for issue in read.found.issues:
        connection = read.connections.get(issue.failure.connection)
        rows.append(
            (
                f"{issue.events:,}",
                read.headline(issue),
                connection.name if connection else "deleted connection",
                f"{issue.first_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
                f"{issue.last_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
                issue.last_event.event_id,
            )
        )
    print_table(
        ("events", "why", "connection", "since (UTC)", "last (UTC)", "last event"),
        rows,
        empty="no event has failed in this time",
    )
    if read.note:
        say(read.note)
    for issue in read.found.issues:
        if redelivery := read.redelivery(issue):
            say(
                f"redeliver {issue.events:,}: emitonce redeliver --failed "
                f"--workspace {redelivery.workspace} --connection {redelivery.connection} "
                f"--reason {redelivery.reason} --since {redelivery.accepted_from.isoformat()} "
                f"--until {redelivery.accepted_to.isoformat()} "
                f"--as-of {redelivery.as_of.isoformat()}"
            )
