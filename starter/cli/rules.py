"""`emitonce rules …`"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from catalog.paging import read_all
from catalog.rules import Rule
from destinations.registry import unread_metadata
from starter.cli.dependencies import (
    CREATED_BY,
    Dependencies,
    command,
    log_when_ended,
    recorded,
    with_dependencies,
)
from starter.cli.emit import show_ended
from starter.cli.fields import read_pairs
from starter.cli.output import Json, print_answer, print_json, print_records, say
from starter.cli.payload import PayloadFile, read_object
from starter.cli.tour_view import show_messages
from starter.json_objects import rule_object
from starter.known_destination import destination_of
from starter.live_options import check_listed
from starter.rule_preview import event_to_try, stored_rule
from starter.rule_preview import preview as preview_of

rules = typer.Typer(help="Rules: which events go to which connection.")

Id = Annotated[str, typer.Argument(metavar="RULE", help="The rule's id.")]


@rules.command("create")
def create(
    workspace: Annotated[str, typer.Option(help="The workspace's id.")],
    connection: Annotated[str, typer.Option(help="The connection's id.")],
    event: Annotated[str, typer.Option(help="The event's name, such as user.signup.")],
    resource: Annotated[str | None, typer.Option(help="Default: any resource.")] = None,
    resource_id: Annotated[str | None, typer.Option(help="Default: any.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Default: the first that the connection's type has.")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An input of the action; repeatable."),
    ] = None,
    event_name_override: Annotated[
        str | None, typer.Option(help="The same as --set event_name_override=…")
    ] = None,
    accept: Annotated[
        str | None,
        typer.Option(metavar="all|backend", help="backend: no events sent with a publishable key."),
    ] = None,
    metadata: Annotated[
        dict[str, Any] | None,
        typer.Option(
            parser=read_object,
            metavar="JSON",
            help='Further metadata, such as {"on_limit": "drop"}.',
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a rule, which says what to do with the events that it matches."""
    chosen = (metadata or {}) | read_pairs(inputs)
    given = {"action": action, "event_name_override": event_name_override, "accept": accept}
    chosen |= {name: value for name, value in given.items() if value is not None}

    @with_dependencies
    @recorded("create_rule")
    async def save(parts: Dependencies) -> Rule:
        to = await parts.catalog.connections.get(parts.organisation, connection)
        read = {"action": destination_of(to.type).actions[0].key, **chosen}
        await check_listed(parts.clients, parts.catalog, parts.organisation, to.id, read)
        made = await parts.catalog.rules.create(
            parts.organisation,
            workspace=workspace,
            connection=connection,
            event=event,
            resource=resource,
            resource_id=resource_id,
            metadata=read,
            created_by=CREATED_BY,
        )
        parts.made["rule_id"] = made.id
        return made

    made = save()
    for warning in unread_metadata(made.type, made.metadata):
        say(warning)
    words = f"rule {made.id}  {made.event} → {made.connection}"
    print_answer({"rule": rule_object(made)}, words, as_json=as_json)


@command(rules, "list")
async def list_all(
    parts: Dependencies,
    workspace: Annotated[str | None, typer.Option(help="Only those of this workspace.")] = None,
    event: Annotated[str | None, typer.Option(help="Only those for this event.")] = None,
    as_json: Json = False,
) -> None:
    """List the rules, newest first."""
    found = await read_all(
        parts.catalog.rules.list, parts.organisation, workspace=workspace, event=event
    )
    print_records(
        [rule_object(rule) for rule in found],
        ("id", "event", "resource", "as", "connection", "active"),
        [
            (
                rule.id,
                rule.event,
                rule.resource or "any",
                rule.metadata.get("event_name_override") or rule.event,
                rule.connection,
                "yes" if rule.active else "no",
            )
            for rule in found
        ],
        empty="no rule yet: emitonce rules create --help",
        as_json=as_json,
    )


@command(rules, "preview")
async def preview(
    parts: Dependencies, rule: Id, payload: PayloadFile, as_json: Json = False
) -> None:
    """Print the exact requests that an event with this payload would make; send nothing."""
    known = await parts.catalog.rules.get(parts.organisation, rule)
    matched = await stored_rule(parts.catalog, known)
    messages = preview_of(event_to_try(known, payload), matched)
    if as_json:
        shown = {message.call: message.model_dump(mode="json") for message in messages.messages}
        print_json({**shown, "warnings": list(messages.warnings)})
    else:
        show_messages(messages)


@command(rules, "test")
@recorded("test_rule")
async def send_test(
    parts: Dependencies, rule: Id, payload: PayloadFile, as_json: Json = False
) -> None:
    """Send a test event through this rule only, and show the answers.

    Each call is attempted once. Exit code 1 when it was not delivered.
    """
    known = await parts.catalog.rules.get(parts.organisation, rule)
    starter = await parts.event_starter()
    handle = await starter.start(
        known.workspace, known.event, payload, only_rules=[known.id], test=True
    )
    show_ended(await log_when_ended(starter.client, handle), as_json)
