"""`emitonce events …`: the delivery log."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

import typer

from delivery.result import Status
from emitonce.ids import resource_id_hash
from engine.links import run_url
from eventlog.fetch import describe_event, read_event_log
from eventlog.listing import EventPage, list_events
from eventlog.log import EventLog
from eventlog.query import EventQuery
from operations.redelivery import redeliver
from operations.steering import (
    AlreadyEnded,
    bring_forward,
    cancel_delivery,
    cancel_event,
)
from starter.cli.dependencies import Dependencies, with_dependencies
from starter.cli.erase import events_erase
from starter.cli.output import Json, console, print_answer, print_json, print_table, say
from starter.cli.tour_view import show_log
from starter.json_objects import event_detail_object, listed_event_object

events = typer.Typer(help="Events: what became of each, every attempt on record.")

Id = Annotated[str, typer.Argument(metavar="EVENT", help="The event's id.")]


@events.command("list")
def list_all(
    workspace: Annotated[str, typer.Option(help="The workspace's id.")],
    event: Annotated[str | None, typer.Option(help="Of this name alone.")] = None,
    resource: Annotated[str | None, typer.Option()] = None,
    resource_id: Annotated[str | None, typer.Option()] = None,
    status: Annotated[Status | None, typer.Option()] = None,
    connection: Annotated[str | None, typer.Option(help="Delivered by this connection.")] = None,
    rule: Annotated[str | None, typer.Option(help="Matched by this rule.")] = None,
    redelivery: Annotated[str | None, typer.Option(help="Begun by this redelivery.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str | None, typer.Option(help="next_cursor of the page before.")] = None,
    tests: Annotated[bool, typer.Option("--tests", help="Test events too.")] = False,
    as_json: Json = False,
) -> None:
    """List events, newest first."""

    async def read(parts: Dependencies) -> EventPage:
        hashed = (
            None
            if resource_id is None
            else resource_id_hash(parts.secrets.instance_secret, resource_id)
        )
        known = await parts.catalog.workspaces.get(parts.organisation, workspace)
        query = EventQuery(
            (known.id,),
            event=event,
            resource=resource,
            resource_id_hash=hashed,
            status=status,
            connection=connection,
            rule=rule,
            redelivery=redelivery,
            include_tests=tests,
        )
        return await list_events(await parts.temporal(), query, limit=limit, cursor=cursor)

    page = with_dependencies(read)
    if as_json:
        records = [listed_event_object(listed) for listed in page.events]
        print_json(
            {
                "count": len(records),
                "limit": limit,
                "next_cursor": page.next_cursor,
                "records": records,
            }
        )
        return
    if page.note:
        say(page.note)
    print_table(
        ("accepted (UTC)", "event", "status", "rules", "id"),
        [
            (
                f"{listed.accepted_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
                listed.event or "",
                "held" if listed.held else listed.status,
                str(len(listed.rules)),
                listed.event_id,
            )
            for listed in page.events
        ],
        empty="no event here: emitonce emit --help",
    )
    if page.next_cursor:
        say(f"more with --cursor {page.next_cursor}")


@events.command("show")
def show(
    event: Id,
    as_json: Json = False,
) -> None:
    """Show one event: its deliveries, both requests, every attempt."""

    async def read(parts: Dependencies) -> tuple[str | None, EventLog]:
        client = await parts.temporal()
        log = await read_event_log(client, event)
        return run_url(parts.settings.ui_url, client, log.event_id), log

    url, log = with_dependencies(read)
    if as_json:
        print_json(event_detail_object(log))
        return
    show_log(log)
    if url:
        console.print(f"in the Temporal Web UI: {url}", markup=False, soft_wrap=True)


@events.command("cancel")
def cancel(
    event: Id,
    rule: Annotated[str | None, typer.Option(help="This rule's delivery alone.")] = None,
    as_json: Json = False,
) -> None:
    """End what is still open of it: a request in flight finishes, no new attempt is made."""

    async def end(parts: Dependencies) -> None:
        client = await parts.temporal()
        known = (await describe_event(client, event)).id
        if rule is None:
            await cancel_event(client, known)
        else:
            await cancel_delivery(client, known, rule.lower())

    with_dependencies(end)
    what = f"event {event}" if rule is None else f"the delivery of event {event} for rule {rule}"
    canceled = {"event": event, "rule": rule, "canceled": True}
    print_answer(canceled, f"canceled {what}", as_json=as_json)


@events.command("retry")
def retry(
    event: Id,
    rule: Annotated[str | None, typer.Option(help="This rule's delivery alone.")] = None,
    as_json: Json = False,
) -> None:
    """Make the next attempt of a waiting delivery now, or deliver again what has failed."""

    async def again(parts: Dependencies) -> str:
        client = await parts.temporal()
        known = (await describe_event(client, event)).id
        if rule is not None:
            try:
                await bring_forward(
                    client, known, rule.lower(), task_queue=parts.settings.task_queue
                )
                return "brought_forward"
            except AlreadyEnded:
                pass
        await redeliver(client, known, rules=None if rule is None else [rule.lower()])
        return "redelivered"

    done = with_dependencies(again)
    words = "the next attempt is made now" if done == "brought_forward" else "delivered again"
    print_answer({"event": event, "rule": rule, "done": done}, words, as_json=as_json)


events.command("erase")(events_erase)
