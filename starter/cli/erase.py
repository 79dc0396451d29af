"""`emitonce events erase`, `workspaces erase`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from catalog.database import fetchrow
from catalog.erasure import erase_workspace
from catalog.errors import NotFound
from catalog.values import known_id
from engine.namespace import namespace_retention
from operations.erasure import erase_events, erase_events_of
from starter.cli.context import ThisWorkspace
from starter.cli.dependencies import Dependencies, recorded, with_dependencies
from starter.cli.errors import CommandFailed, Exit
from starter.cli.output import Json, Yes, print_answer, require_yes, say
from starter.remains import remains, words_of_remains


@with_dependencies
@recorded("erase_events")
async def events_erase(
    parts: Dependencies,
    events: Annotated[list[str], typer.Argument(metavar="EVENT…", help="The events' ids.")],
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase events: cancel what is open, then delete every run with its data."""
    require_yes(yes, f"erases {len(events)} events")
    client = await parts.temporal()
    say("the server deletes them within about 30 seconds")
    known = await erase_events(client, events)
    done: dict[str, Any] = {
        "erased": [event_id for event_id in dict.fromkeys(events) if known[event_id]],
        "unknown": [event_id for event_id in dict.fromkeys(events) if not known[event_id]],
        "remains": remains(),
    }
    words = f"erased {len(done['erased'])} events\n{words_of_remains(done['remains'])}"
    print_answer(done, words, as_json=as_json)
    if done["unknown"]:
        raise CommandFailed(Exit.NOT_FOUND, f"not known here: {', '.join(done['unknown'])}")


@with_dependencies
@recorded("erase_workspace")
async def workspaces_erase(
    parts: Dependencies,
    workspace: ThisWorkspace,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase a workspace: its connections, rules, mappings, keys, and every event of it.

    Its rows are deleted first, so that no further event is accepted; then its events are canceled
    and deleted. If it is interrupted, run it again.
    """
    require_yes(yes, f"erases workspace {workspace}")
    workspace = str(known_id("workspace", workspace))
    catalog, client = parts.catalog, await parts.temporal()
    try:
        rows = await erase_workspace(catalog.pool, catalog.changes, parts.organization, workspace)
    except NotFound:
        # Another organization's is left alone.
        owner = "SELECT id FROM workspaces WHERE id = $1"
        if await fetchrow(catalog.pool, owner, workspace):
            raise
        rows = {}  # perhaps erased before, by a command that was stopped halfway
    say("the server deletes events within about 30 seconds")
    events = await erase_events_of(client, workspace)
    if not rows and not events:
        raise NotFound("workspace", workspace)
    left = remains(await namespace_retention(client))
    done = {"workspace": workspace, "rows": rows, "events": events, "remains": left}
    words = f"erased workspace {workspace}: {sum(rows.values())} rows, {events} events\n"
    print_answer(done, words + words_of_remains(left), as_json=as_json)
