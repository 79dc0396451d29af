"""`emitonce connections …`"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from catalog.connections import Connection
from destinations.customerio.destination import read_api_key
from destinations.customerio.simulator import EU_KEY, US_KEY
from destinations.destination import Verdict
from engine.connect import TemporalUnreachable
from operations.steering import resume_connection
from settings import Settings
from starter.cli.errors import CommandFailed, Exit
from starter.cli.output import Json, console, print_json, print_table, say
from starter.cli.parts import CREATED_BY, Parts, with_parts
from starter.shapes import connection_object

connections = typer.Typer(help="Connections: one Customer.io workspace each, with its key.")

Id = Annotated[str, typer.Argument(metavar="CONNECTION", help="The connection's id.")]
ApiKey = Annotated[
    str | None,
    typer.Option(
        help="The CDP API key; - reads it from standard input. Absent: CUSTOMERIO_CDP_API_KEY, or "
        "you are asked for it."
    ),
]


@connections.command("create")
def create(
    workspace: Annotated[str, typer.Option(help="The workspace's id.")],
    name: Annotated[str, typer.Option(help="1 to 128 letters, digits, blanks, _ or -.")],
    region: Annotated[str, typer.Option(help="us or eu: where the Customer.io account is.")],
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Create a connection to Customer.io. The key is encrypted and never shown again."""
    key = _read_key(api_key)
    made = with_parts(
        lambda parts: parts.catalog.connections.create(
            parts.organisation,
            workspace=workspace,
            name=name,
            region=region,
            api_key=key,
            created_by=CREATED_BY,
        )
    )
    _print(made, as_json, wrapped=True)


@connections.command("list")
def list_all(
    workspace: Annotated[str | None, typer.Option(help="Of this workspace alone.")] = None,
    as_json: Json = False,
) -> None:
    """List the connections, newest first."""

    async def read(parts: Parts) -> list[Connection]:
        found: list[Connection] = []
        cursor = None
        while True:
            page = await parts.catalog.connections.list(
                parts.organisation, workspace=workspace, limit=200, cursor=cursor
            )
            found += page.records
            if (cursor := page.next_cursor) is None:
                return found

    found = with_parts(read)
    if as_json:
        records = [connection_object(connection) for connection in found]
        print_json({"count": len(records), "limit": 200, "next_cursor": None, "records": records})
        return
    print_table(
        ("id", "name", "region", "status", "why"),
        [(c.id, c.name, c.region, c.status, c.inactive_reason or "") for c in found],
        empty="no connection yet: emitonce connections create --help",
    )


@connections.command("update")
def update(
    connection: Id,
    name: Annotated[str | None, typer.Option()] = None,
    region: Annotated[str | None, typer.Option(help="us or eu.")] = None,
    api_key: Annotated[
        str | None, typer.Option(help="A new CDP API key; - reads it from standard input.")
    ] = None,
    requests_per_second: Annotated[
        int | None, typer.Option(help="At most, over all workers; 0 for Customer.io's own limit.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Change name, region, key or rate. A new key lets held deliveries go on."""
    if (name, region, api_key, requests_per_second) == (None, None, None, None):
        raise typer.BadParameter("give --name, --region, --api-key or --requests-per-second")
    key = None if api_key is None else _read_key(api_key)

    async def change(parts: Parts) -> Connection:
        changed = await parts.catalog.connections.update(
            parts.organisation,
            connection,
            name=name,
            region=region,
            api_key=key,
            requests_per_second=requests_per_second,
        )
        if changed.active and (region is not None or key is not None):
            await _tell_held(parts, changed)
        return changed

    _print(with_parts(change), as_json)


@connections.command("pause")
def pause(connection: Id, as_json: Json = False) -> None:
    """Hold its deliveries: they wait, without a request, until it is resumed."""
    _print(
        with_parts(lambda parts: parts.catalog.connections.pause(parts.organisation, connection)),
        as_json,
    )


@connections.command("resume")
def resume(connection: Id, as_json: Json = False) -> None:
    """Let it deliver again; held deliveries go on."""

    async def change(parts: Parts) -> Connection:
        resumed = await parts.catalog.connections.resume(parts.organisation, connection)
        await _tell_held(parts, resumed)
        return resumed

    _print(with_parts(change), as_json)


@connections.command("verify")
def check(connection: Id, as_json: Json = False) -> None:
    """Ask Customer.io whether the key is right, and whether the region is. Writes nothing there.

    Exit code 1 for a wrong key or region.
    """

    async def ask(parts: Parts) -> dict[str, object]:
        known = await parts.catalog.connections.get(parts.organisation, connection)
        found = await parts.catalog.credentials.credential(known.workspace, known.id)
        verified = await (await parts.clients())[found.type].verify(found)
        return {
            "connection": known.id,
            "verdict": verified.verdict,
            "region": verified.region,
            "message": verified.message,
        }

    answer = with_parts(ask)
    if as_json:
        print_json(answer)
    else:
        console.print(str(answer["message"]), markup=False)
    if answer["verdict"] != Verdict.RIGHT:
        raise CommandFailed(Exit.AWAY if answer["verdict"] == Verdict.UNKNOWN else Exit.BAD)


async def _tell_held(parts: Parts, connection: Connection) -> None:
    """What is changed stays changed where nobody can be told of it now."""
    try:
        client = await parts.temporal()
    except TemporalUnreachable as err:
        say(str(err))
        say("the connection is changed all the same; deliveries held for it go on within an hour")
        return
    await resume_connection(client, connection.id, task_queue=parts.settings.task_queue)
    say("deliveries that were held for it go on")


def _read_key(given: str | None) -> str:
    if given == "-":
        text = sys.stdin.readline()
    elif given is None:
        text = os.environ.get("CUSTOMERIO_CDP_API_KEY") or _asked_key()
    else:
        text = given
        if given not in (US_KEY, EU_KEY):
            Settings().forbid_in_production(
                "--api-key with the key itself, which every user of the machine can read in the "
                "list of processes",
                "give --api-key - and the key on standard input",
            )
            say("other users can read a key in a command line; --api-key - reads it from input")
    try:
        return read_api_key(text)
    except ValueError as err:
        raise typer.BadParameter(f"the API key {err}") from None


def _asked_key() -> str:
    if not sys.stdin.isatty():
        raise typer.BadParameter("give --api-key -, and the key on standard input")
    asked: str = typer.prompt("CDP API key", hide_input=True, err=True)
    return asked


def _print(connection: Connection, as_json: bool, *, wrapped: bool = False) -> None:
    if as_json:
        shown = connection_object(connection)
        print_json({"connection": shown} if wrapped else shown)
        return
    why = f" ({connection.inactive_reason})" if connection.inactive_reason else ""
    console.print(
        f"connection {connection.id}  {connection.name}  {connection.region}  "
        f"{connection.status}{why}",
        markup=False,
    )
