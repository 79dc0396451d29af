"""`emitonce connections …`"""

from __future__ import annotations

from typing import Annotated

import typer

from catalog.connections import Connection
from catalog.paging import read_all
from destinations.destination import Verdict
from destinations.registry import BY_TYPE
from starter.cli.context import IN_USE, InWorkspace, OnlyOfWorkspace, ThisConnection
from starter.cli.dependencies import CREATED_BY, Dependencies, command, recorded, with_dependencies
from starter.cli.errors import CommandFailed, Exit
from starter.cli.fields import ApiKey, Region, SecretKeys, Sets, read_fields
from starter.cli.held import tell_held
from starter.cli.output import Json, Yes, print_answer, print_records, require_yes
from starter.connection_test import failed_test, verdict_on, verification_object
from starter.json_objects import connection_object
from starter.known_destinations import destination_of

connections = typer.Typer(help="Connections: each to one destination, with its secrets.")

SkipTest = Annotated[
    bool, typer.Option("--skip-test", help="Save a webhook without a test message to it.")
]


@connections.command("create")
def create(
    name: Annotated[str, typer.Option(help="What you call it: up to 128 characters.")],
    workspace: InWorkspace = IN_USE,
    type: Annotated[str, typer.Option(help=f"One of {', '.join(BY_TYPE)}.")] = next(iter(BY_TYPE)),
    settings: Sets = None,
    secrets: SecretKeys = None,
    region: Region = None,
    api_key: ApiKey = None,
    skip_test: SkipTest = False,
    as_json: Json = False,
) -> None:
    """Create a connection. Its secrets are encrypted and never shown again."""
    fields = read_fields(
        destination_of(type), settings, secrets, region=region, api_key=api_key, new=True
    )

    @with_dependencies
    @recorded("create_connection")
    async def save(parts: Dependencies, *, workspace: InWorkspace) -> Connection:
        if not skip_test:
            await _test(parts, type, fields)
        made = await parts.catalog.connections.create(
            parts.organization,
            workspace=workspace,
            type=type,
            name=name,
            fields=fields,
            created_by=CREATED_BY,
        )
        parts.made["connection_id"] = made.id
        return made

    _print(save(workspace=workspace), as_json, wrapped=True)


@command(connections, "list")
async def list_all(
    parts: Dependencies,
    workspace: OnlyOfWorkspace = None,
    as_json: Json = False,
) -> None:
    """List the connections, newest first."""
    found = await read_all(parts.catalog.connections.list, parts.organization, workspace=workspace)
    print_records(
        [connection_object(connection) for connection in found],
        ("id", "name", "to", "status", "why"),
        [(c.id, c.name, _where(c), c.status, c.inactive_reason or "") for c in found],
        empty="no connection yet: emitonce connections create --help",
        as_json=as_json,
    )


@command(connections, "show")
async def show(parts: Dependencies, connection: ThisConnection, as_json: Json = False) -> None:
    """Show a connection without its secrets."""
    _print(await parts.catalog.connections.get(parts.organization, connection), as_json)


@command(connections, "update")
@recorded("update_connection")
async def update(
    parts: Dependencies,
    connection: ThisConnection,
    name: Annotated[str | None, typer.Option()] = None,
    settings: Sets = None,
    secrets: SecretKeys = None,
    region: Region = None,
    api_key: ApiKey = None,
    requests_per_second: Annotated[
        int | None, typer.Option(help="Limit over all workers; 0: the vendor's own limit.")
    ] = None,
    skip_test: SkipTest = False,
    as_json: Json = False,
) -> None:
    """Change what the options name. With a new secret or setting, held deliveries continue."""
    renewed = (settings, secrets, region, api_key) != (None, None, None, None)
    if not renewed and (name, requests_per_second) == (None, None):
        raise typer.BadParameter(
            "give --name, --set, --secret, --region, --api-key or --requests-per-second"
        )

    known = await parts.catalog.connections.get(parts.organization, connection)
    fields = read_fields(
        destination_of(known.type), settings, secrets, region=region, api_key=api_key
    )
    if renewed and not skip_test:
        await _test(parts, known.type, fields, known)
    changed = await parts.catalog.connections.update(
        parts.organization,
        connection,
        name=name,
        fields=fields,
        requests_per_second=requests_per_second,
    )
    if changed.active and renewed:
        await tell_held(parts, changed.id)
    _print(changed, as_json)


@command(connections, "pause")
@recorded("pause_connection")
async def pause(parts: Dependencies, connection: ThisConnection, as_json: Json = False) -> None:
    """Pause a connection: its deliveries are held, and nothing is sent, until it is resumed."""
    _print(await parts.catalog.connections.pause(parts.organization, connection), as_json)


@command(connections, "resume")
@recorded("resume_connection")
async def resume(parts: Dependencies, connection: ThisConnection, as_json: Json = False) -> None:
    """Resume a connection: held deliveries continue."""
    resumed = await parts.catalog.connections.resume(parts.organization, connection)
    await tell_held(parts, resumed.id)
    _print(resumed, as_json)


@command(connections, "verify")
async def verify(parts: Dependencies, connection: ThisConnection, as_json: Json = False) -> None:
    """Ask the destination whether settings and secrets are right. Writes nothing there.

    Exit code 1 when they are wrong.
    """
    known = await parts.catalog.connections.get(parts.organization, connection)
    verified = await verdict_on(parts.clients, parts.catalog, known)
    print_answer(verification_object(known, verified), verified.message, as_json=as_json)
    if verified.verdict != Verdict.RIGHT:
        raise CommandFailed(Exit.UNAVAILABLE if verified.verdict == Verdict.UNKNOWN else Exit.BAD)


@command(connections, "delete")
@recorded("delete_connection")
async def delete(
    parts: Dependencies,
    connection: ThisConnection,
    force: Annotated[bool, typer.Option("--force", help="Even if it has active rules.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete a connection, its rules and its mapping. Open deliveries fail."""
    known = await parts.catalog.connections.get(parts.organization, connection)
    require_yes(yes, f"deletes connection {known.name} with its secrets, rules and mapping")
    gone = await parts.catalog.connections.delete(parts.organization, connection, force=force)
    await tell_held(parts, gone.id, will="fail")
    deleted = {"id": gone.id, "type": gone.type}
    print_answer(deleted, f"deleted connection {gone.id}  {gone.name}", as_json=as_json)


def _where(connection: Connection) -> str:
    return " ".join(filter(None, (connection.type, connection.settings.get("region"))))


def _print(connection: Connection, as_json: bool, *, wrapped: bool = False) -> None:
    shown = connection_object(connection)
    why = f" ({connection.inactive_reason})" if connection.inactive_reason else ""
    print_answer(
        {"connection": shown} if wrapped else shown,
        f"connection {connection.id}  {connection.name}  {_where(connection)}  "
        f"{connection.status}{why}",
        as_json=as_json,
    )


async def _test(
    parts: Dependencies, type: str, fields: dict[str, str], stored: Connection | None = None
) -> None:
    if failure := await failed_test(parts.clients, parts.catalog, type, fields, stored):
        raise CommandFailed(Exit.BAD, f"{failure}; --skip-test saves it anyway")
