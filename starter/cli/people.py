"""`emitonce people …`: hand out or erase what is kept about a person."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from delivery.people import LONGEST_IDENTIFIER
from delivery.result import Status
from emitonce.ids import Hashes
from eventlog.listed_event import ListedEvent
from operations.person_events import (
    MOST_IDENTIFIERS,
    SHORTEST_SCANNED,
    erase_person,
    person_events,
)
from starter.cli.context import IN_USE, InWorkspace
from starter.cli.dependencies import Dependencies, command, recorded
from starter.cli.errors import CommandFailed, Exit
from starter.cli.export import opened, whole_lines
from starter.cli.output import Json, Yes, print_answer, require_yes, say
from starter.json_objects import event_detail_object
from starter.remains import person_remains, words_of_remains

people = typer.Typer(help="People: hand out or erase what is kept about a person.")

Identifiers = Annotated[
    list[str],
    typer.Argument(
        metavar="IDENTIFIER…",
        help="All known identifiers: user ids, e-mail addresses, anonymous ids. - reads them from "
        "standard input, one a line, which keeps them out of the process list.",
    ),
]
Scan = Annotated[
    bool,
    typer.Option(
        "--scan",
        help="Read every payload: for free text, and events older than the search by person.",
    ),
]


@command(people, "export")
@recorded("export_person")
async def export(
    parts: Dependencies,
    identifiers: Identifiers,
    workspace: InWorkspace = IN_USE,
    scan: Scan = False,
    output: Annotated[
        Path | None, typer.Option(help="Append to this file. Default: standard output.")
    ] = None,
) -> None:
    """Export every event about a person with all attempts, as JSON lines.

    Each line is what `events show --json` prints. Run it again with the same file and it continues
    where it stopped: an event that had ended is not exported again.
    """
    asked = _read(identifiers, scan)
    known = await parts.catalog.workspaces.get(parts.organization, workspace)
    exported = {} if output is None else _exported(output)

    def done(listed: ListedEvent) -> bool:
        return exported.get(listed.event_id) == listed.run_id

    client, written = await parts.temporal(), 0
    with opened(output) as file:
        async for _, log in person_events(
            client,
            known.id,
            _hashes(parts, known.id, asked),
            mentioned=asked if scan else (),
            known=done,
        ):
            file.write(json.dumps(event_detail_object(log), ensure_ascii=False) + "\n")
            file.flush()
            written += 1
    say(f"{written} events exported" + (f", {len(exported)} before" if exported else ""))


@command(people, "erase")
@recorded("erase_person")
async def erase(
    parts: Dependencies,
    identifiers: Identifiers,
    workspace: InWorkspace = IN_USE,
    scan: Scan = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase every event about a person: cancel what is open, then delete every run.

    It prints what remains elsewhere, and until when. If it is interrupted, run it again.
    """
    asked = _read(identifiers, scan)
    known = await parts.catalog.workspaces.get(parts.organization, workspace)
    require_yes(yes, f"erases all events in workspace {known.name} about that person")
    client = await parts.temporal()
    say("the server deletes events within about 30 seconds")
    events: set[str] = set()
    connections: set[str] = set()
    await erase_person(
        client,
        known.id,
        _hashes(parts, known.id, asked),
        mentioned=asked if scan else (),
        erased=events,
        connections=connections,
    )
    left = await person_remains(parts.catalog, parts.organization, sorted(connections))
    words = f"erased {len(events)} events\n{words_of_remains(left)}"
    for one in left[0]["connections"]:
        words += f"\n  delete the person at: {one['name']} ({one['type']}, {one['id']})"
    if not scan:
        words += "\nonly events found by a search by person are erased; --scan reads every payload"
    print_answer({"erased": sorted(events), "remains": left}, words, as_json=as_json)
    if not events:
        raise CommandFailed(Exit.NOT_FOUND, "no event about that person is known here")


def _read(given: Sequence[str], scan: bool) -> list[str]:
    lines = sys.stdin.read().splitlines() if list(given) == ["-"] else given
    found = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not 1 <= len(found) <= MOST_IDENTIFIERS:
        raise typer.BadParameter(f"give 1 to {MOST_IDENTIFIERS} identifiers, not {len(found)}")
    if any(len(one) > LONGEST_IDENTIFIER for one in found):
        raise typer.BadParameter(f"an identifier has at most {LONGEST_IDENTIFIER:,} characters")
    if scan and any(len(one) < SHORTEST_SCANNED for one in found):
        raise typer.BadParameter(
            f"--scan looks for identifiers in any text; give {SHORTEST_SCANNED} characters or more"
        )
    return found


def _hashes(parts: Dependencies, workspace: str, identifiers: Sequence[str]) -> list[str]:
    hashes = Hashes(parts.secrets.instance_secret)
    return [hashes.person(workspace, one) for one in identifiers]


def _exported(output: Path) -> dict[str, str]:
    """Return which run of each event an earlier export has, of those that had ended."""
    whole_lines(output)
    found = {}
    if output.exists():
        with output.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    one = json.loads(line)
                    event, run, status = one["event_id"], one["run_id"], Status(one["status"])
                except (ValueError, KeyError, TypeError):
                    raise CommandFailed(
                        Exit.REFUSED, f"--output: {output} has other lines; choose another file"
                    ) from None
                if status.ended:
                    found[event] = run
    return found
