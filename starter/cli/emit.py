"""`emitonce emit`: accept one event."""

from __future__ import annotations

from typing import Annotated

import typer

from delivery.result import Status
from eventlog.log import EventLog
from starter.cli.context import IN_USE, InWorkspace
from starter.cli.dependencies import Dependencies, log_when_ended, with_dependencies
from starter.cli.errors import CommandFailed, Exit
from starter.cli.output import Json, print_answer, print_json
from starter.cli.payload import PayloadFile
from starter.cli.tour_view import show_log
from starter.json_objects import event_detail_object


@with_dependencies
async def emit(
    parts: Dependencies,
    event: Annotated[str, typer.Option(help="The event's name, such as user.signup.")],
    payload: PayloadFile,
    workspace: InWorkspace = IN_USE,
    resource: Annotated[str, typer.Option()] = "global",
    resource_id: Annotated[str | None, typer.Option()] = None,
    timestamp: Annotated[
        str | None, typer.Option(help="When it happened: RFC 3339. Absent: now.")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key and body give the same event.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for its deliveries; exit code 1 if one failed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Emit one event. When this returns, Temporal has stored it."""
    await parts.catalog.workspaces.get(parts.organization, workspace)  # or there is none
    emitter = await parts.emitter()
    handle = await emitter.emit(
        event,
        payload,
        workspace=workspace,
        resource=resource,
        resource_id=resource_id,
        timestamp=timestamp,
        idempotency_key=idempotency_key,
    )
    if wait:
        show_ended(await log_when_ended(parts, emitter.client, handle), as_json)
    else:
        accepted = {"event": {"id": handle.id, "event": event, "workspace": workspace}}
        words = f"accepted as event {handle.id}\nlook at it: emitonce events show {handle.id}"
        print_answer(accepted, words, as_json=as_json)


def show_ended(log: EventLog, as_json: bool) -> None:
    """Show how an event's deliveries have ended; exit code 1 when one was not delivered."""
    if as_json:
        print_json(event_detail_object(log))
    else:
        show_log(log)
    if log.status is not Status.COMPLETED:
        raise CommandFailed(Exit.BAD)
