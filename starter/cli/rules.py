"""`emitonce rules …`"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from catalog.paging import read_all
from catalog.rule_change import RuleChange
from catalog.rules import Rule
from destinations.registry import unread_metadata
from starter.cli.context import IN_USE, InWorkspace, OfConnection, OnlyOfWorkspace, ThisRule
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
from starter.cli.output import (
    Json,
    Yes,
    print_answer,
    print_json,
    print_records,
    require_yes,
    say,
)
from starter.cli.payload import PayloadFile, read_object
from starter.cli.tour_view import show_messages
from starter.json_objects import deleted_rule_object, rule_object
from starter.known_destinations import destination_of
from starter.live_options import check_listed
from starter.rule_trial import event_to_try, send_test_event, stored_rule
from starter.rule_trial import preview as preview_of

rules = typer.Typer(help="Rules: which events go to which connection.")


Action = Annotated[
    str | None, typer.Option(help="Default: the first that the connection's type has.")
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="An input of the action; repeatable. An empty value removes it.",
    ),
]
EventNameOverride = Annotated[
    str | None, typer.Option(help="The same as --set event_name_override=…")
]
Accept = Annotated[
    str | None,
    typer.Option(metavar="all|backend", help="backend: no events sent with a publishable key."),
]
Metadata = Annotated[
    dict[str, Any] | None,
    typer.Option(
        parser=read_object, metavar="JSON", help='Further metadata, such as {"on_limit": "drop"}.'
    ),
]


@rules.command("create")
def create(
    connection: OfConnection,
    event: Annotated[str, typer.Option(help="The event's name, such as user.signup.")],
    workspace: InWorkspace = IN_USE,
    resource: Annotated[str | None, typer.Option(help="Default: any resource.")] = None,
    resource_id: Annotated[str | None, typer.Option(help="Default: any.")] = None,
    action: Action = None,
    inputs: Inputs = None,
    event_name_override: EventNameOverride = None,
    accept: Accept = None,
    metadata: Metadata = None,
    as_json: Json = False,
) -> None:
    """Create a rule, which says what to do with the events that it matches."""
    chosen = _metadata(metadata, inputs, action, event_name_override, accept)

    @with_dependencies
    @recorded("create_rule")
    async def save(
        parts: Dependencies, *, workspace: InWorkspace, connection: OfConnection
    ) -> Rule:
        to = await parts.catalog.connections.get(parts.organization, connection)
        read = _set({"action": destination_of(to.type).actions[0].key}, chosen)
        await check_listed(parts.clients, parts.catalog, parts.organization, to.id, read)
        made = await parts.catalog.rules.create(
            parts.organization,
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

    _print(save(workspace=workspace, connection=connection), as_json, wrapped=True)


@command(rules, "list")
async def list_all(
    parts: Dependencies,
    workspace: OnlyOfWorkspace = None,
    event: Annotated[str | None, typer.Option(help="Only those for this event.")] = None,
    as_json: Json = False,
) -> None:
    """List the rules, newest first."""
    found = await read_all(
        parts.catalog.rules.list, parts.organization, workspace=workspace, event=event
    )
    connections = await read_all(
        parts.catalog.connections.list, parts.organization, workspace=workspace
    )
    names = {one.id: one.name for one in connections}
    print_records(
        [rule_object(rule) for rule in found],
        ("id", "event", "resource", "as", "connection", "active"),
        [
            (
                rule.id,
                rule.event,
                rule.resource or "any",
                rule.metadata.get("event_name_override") or rule.event,
                names.get(rule.connection, rule.connection),
                "yes" if rule.active else "no",
            )
            for rule in found
        ],
        empty="no rule yet: emitonce rules create --help",
        as_json=as_json,
    )


@command(rules, "show")
async def show(parts: Dependencies, rule: ThisRule, as_json: Json = False) -> None:
    """Show a rule."""
    _print(await parts.catalog.rules.get(parts.organization, rule), as_json)


@command(rules, "update")
@recorded("update_rule")
async def update(
    parts: Dependencies,
    rule: ThisRule,
    event: Annotated[str | None, typer.Option(help="The event's name.")] = None,
    resource: Annotated[str | None, typer.Option(help="Empty: any resource.")] = None,
    resource_id: Annotated[str | None, typer.Option(help="Empty: any.")] = None,
    action: Action = None,
    inputs: Inputs = None,
    event_name_override: EventNameOverride = None,
    accept: Accept = None,
    metadata: Metadata = None,
    as_json: Json = False,
) -> None:
    """Change what the options name. Events that have matched are delivered by the rule as it was.

    Of the metadata, keys that aren't given stay.
    """
    known = await parts.catalog.rules.get(parts.organization, rule)
    chosen = _metadata(metadata, inputs, action, event_name_override, accept)
    given: dict[str, Any] = {} if event is None else {"event": event}
    for name, value in (("resource", resource), ("resource_id", resource_id)):
        if value is not None:
            given[name] = value or None
    if chosen:
        given["metadata"] = read = _set(known.metadata, chosen)
        await check_listed(parts.clients, parts.catalog, parts.organization, known.connection, read)
    if not given:
        raise typer.BadParameter("give an option that says what to change")
    change = RuleChange(**given)
    _print(await parts.catalog.rules.update(parts.organization, known.id, change), as_json)


@command(rules, "enable")
@recorded("update_rule")
async def enable(parts: Dependencies, rule: ThisRule, as_json: Json = False) -> None:
    """Let a rule match events again."""
    _print(await parts.catalog.rules.set_active(parts.organization, rule, True), as_json)


@command(rules, "disable")
@recorded("update_rule")
async def disable(parts: Dependencies, rule: ThisRule, as_json: Json = False) -> None:
    """Stop a rule from matching events. What it has already matched is still delivered."""
    _print(await parts.catalog.rules.set_active(parts.organization, rule, False), as_json)


@command(rules, "delete")
@recorded("delete_rule")
async def delete(
    parts: Dependencies, rule: ThisRule, yes: Yes = False, as_json: Json = False
) -> None:
    """Delete a rule. What it has already matched is still delivered."""
    require_yes(yes, f"deletes rule {rule}")
    gone = await parts.catalog.rules.delete(parts.organization, rule)
    print_answer(deleted_rule_object(gone), f"deleted {_words(gone)}", as_json=as_json)


@command(rules, "preview")
async def preview(
    parts: Dependencies, rule: ThisRule, payload: PayloadFile, as_json: Json = False
) -> None:
    """Print the exact requests that an event with this payload would make; send nothing."""
    known = await parts.catalog.rules.get(parts.organization, rule)
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
    parts: Dependencies, rule: ThisRule, payload: PayloadFile, as_json: Json = False
) -> None:
    """Send a test event through this rule only, and show the answers.

    Each call is attempted once. Exit code 1 when it was not delivered.
    """
    known = await parts.catalog.rules.get(parts.organization, rule)
    starter = await parts.event_starter()
    event = event_to_try(known, payload)
    handle = await send_test_event(starter, known, event, created_by=CREATED_BY)
    show_ended(await log_when_ended(parts, starter.client, handle), as_json)


def _metadata(
    metadata: dict[str, Any] | None,
    inputs: list[str] | None,
    action: str | None,
    event_name_override: str | None,
    accept: str | None,
) -> dict[str, Any]:
    """Return what the options give, with "" for what they remove."""
    given = {"action": action, "event_name_override": event_name_override, "accept": accept}
    chosen = {name: value for name, value in given.items() if value is not None}
    return (metadata or {}) | read_pairs(inputs) | chosen


def _set(metadata: dict[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (metadata | chosen).items() if value != ""}


def _words(rule: Rule) -> str:
    state = "" if rule.active else "  disabled"
    return f"rule {rule.id}  {rule.event} → {rule.connection}{state}"


def _print(rule: Rule, as_json: bool, *, wrapped: bool = False) -> None:
    for warning in unread_metadata(rule.type, rule.metadata):
        say(warning)
    shown = rule_object(rule)
    print_answer({"rule": shown} if wrapped else shown, _words(rule), as_json=as_json)
