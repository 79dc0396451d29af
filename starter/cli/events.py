"""`emitonce events …`: the delivery log."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Annotated

import typer

from delivery.people import PEOPLE
from delivery.reason import Reason
from delivery.result import Status
from destinations.headlines import headline_of_failures
from emitonce.ids import Hashes
from engine.links import run_url
from eventlog.described import list_described
from eventlog.fetch import describe_event, read_event_log
from eventlog.follow import follow_events
from eventlog.listed_event import ListedEvent
from eventlog.query import EventQuery
from operations.event_redelivery import redeliver
from operations.steering import (
    AlreadyEnded,
    bring_forward,
    cancel_delivery,
    cancel_event,
)
from starter.cli.context import IN_USE, InWorkspace, OnlyByConnection, OnlyByRule
from starter.cli.dependencies import NO_WORKER, Dependencies, command, recorded
from starter.cli.erase import events_erase
from starter.cli.moments import Since, Until, moment_option
from starter.cli.output import (
    Json,
    console,
    print_answer,
    print_json,
    print_line,
    print_table,
    say,
)
from starter.cli.tour_view import show_log
from starter.json_objects import (
    event_detail_object,
    listed_event_object,
    moment,
    page_object,
    present,
)
from starter.states import HELD, WORDS

events = typer.Typer(help="Events: what happened to each, with every attempt.")

_NOT_YET = "any event may be missing: workers don't record yet who events are about"

EventName = Annotated[str | None, typer.Option(help="Only events of this name.")]
Id = Annotated[str, typer.Argument(metavar="EVENT", help="The event's id.")]


@command(events, "list")
async def list_all(
    parts: Dependencies,
    workspace: InWorkspace = IN_USE,
    since: Since = None,
    until: Until = None,
    event: EventName = None,
    resource: Annotated[str | None, typer.Option()] = None,
    resource_id: Annotated[str | None, typer.Option()] = None,
    person: Annotated[
        str | None, typer.Option(help="About this user id, e-mail address or anonymous id.")
    ] = None,
    status: Annotated[Status | None, typer.Option()] = None,
    failed: Annotated[bool, typer.Option("--failed", help="The same as --status failed.")] = False,
    connection: OnlyByConnection = None,
    rule: OnlyByRule = None,
    redelivery: Annotated[str | None, typer.Option(help="Started by this redelivery.")] = None,
    reason: Annotated[
        str | None,
        typer.Option(help="Failed for this at --connection, see `emitonce issues list --json`."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str | None, typer.Option(help="next_cursor of the previous page.")] = None,
    tests: Annotated[bool, typer.Option("--tests", help="Include test events.")] = False,
    as_json: Json = False,
) -> None:
    """List events, newest first."""
    hashes = Hashes(parts.secrets.instance_secret)
    if failed and status not in (None, Status.FAILED):
        raise typer.BadParameter("--failed contradicts --status")
    if reason is not None and (connection is None or Reason.read(reason) is None):
        raise typer.BadParameter("--reason must be an issue's, together with its --connection")
    known = await parts.catalog.workspaces.get(parts.organization, workspace)
    query = EventQuery(
        (known.id,),
        event=event,
        resource=resource,
        resource_id_hash=None if resource_id is None else hashes.resource_id(resource_id),
        people=() if person is None else (hashes.person(known.id, person),),
        status=Status.FAILED if failed else status,
        connection=connection,
        rule=rule,
        redelivery=redelivery,
        reason=reason,
        accepted_from=since,
        accepted_to=until,
        include_tests=tests,
    )
    complete_from = None
    if person is not None:
        complete_from = await parts.catalog.workers.in_use_since(PEOPLE)
    page = await list_described(await parts.temporal(), query, limit=limit, cursor=cursor)
    if as_json:
        records = [listed_event_object(listed, person=True) for listed in page.events]
        answer = page_object(records, limit, page.next_cursor)
        if person is not None:
            answer["complete_from"] = moment(complete_from) if complete_from else None
        print_json(answer)
        return
    if page.note:
        say(page.note)
    if person is not None:
        if complete_from is None:
            say(_NOT_YET)
        elif known.created_at < complete_from:
            say(f"events accepted before {moment(complete_from)} may be missing")
    print_table(
        ("accepted (UTC)", "event", "about", "status", "rules", "id"),
        [_row(listed) for listed in page.events],
        empty="no events match; to emit one: emitonce emit --help",
    )
    if page.next_cursor:
        say(f"more with --cursor {page.next_cursor}")


@command(events, "tail")
async def tail(
    parts: Dependencies,
    workspace: InWorkspace = IN_USE,
    since: Annotated[
        datetime | None,
        moment_option("Start with those accepted since: 10m, or 2026-11-23T18:00:00Z."),
    ] = None,
    event: EventName = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only events that have failed.")] = False,
    connection: OnlyByConnection = None,
    rule: OnlyByRule = None,
    tests: Annotated[bool, typer.Option("--tests", help="Include test events.")] = False,
    as_json: Json = False,
) -> None:
    """Print each event when it is accepted and when its status changes, until Ctrl-C.

    With --json, each is a line of JSON.
    """
    known = await parts.catalog.workspaces.get(parts.organization, workspace)
    query = EventQuery(
        (known.id,), event=event, connection=connection, rule=rule, include_tests=tests
    )
    start, client = since or datetime.now(UTC), await parts.temporal()
    say(f"events of workspace {known.name}; Ctrl-C ends")
    if not (await parts.catalog.workers.alive()).count:
        say(NO_WORKER)
    async for listed in follow_events(client, query, start):
        if failed and listed.status is not Status.FAILED:
            continue
        if as_json:
            print_line(listed_event_object(listed, person=True))
        else:
            console.print("  ".join(_row(listed)), markup=False, soft_wrap=True)


@command(events, "show")
async def show(parts: Dependencies, event: Id, as_json: Json = False) -> None:
    """Show one event: its deliveries, their requests, every attempt."""
    client = await parts.temporal()
    log = await read_event_log(client, event)
    url = run_url(parts.settings.ui_url, client, log.event_id)
    if as_json:
        print_json({**event_detail_object(log), **present(temporal_url=url)})
    else:
        show_log(log, url=url)


@command(events, "cancel")
@recorded("cancel_event")
async def cancel(
    parts: Dependencies,
    event: Id,
    rule: OnlyByRule = None,
    as_json: Json = False,
) -> None:
    """Cancel what is still open. A request in flight finishes; no new attempt is made."""
    client = await parts.temporal()
    known = (await describe_event(client, event)).id
    if rule is None:
        await cancel_event(client, known)
    else:
        await cancel_delivery(client, known, rule.lower())
    what = f"event {event}" if rule is None else f"the delivery of event {event} for rule {rule}"
    canceled = {"event": event, "rule": rule, "canceled": True}
    print_answer(canceled, f"canceled {what}", as_json=as_json)


@command(events, "retry")
@recorded("retry_delivery")
async def retry(
    parts: Dependencies,
    event: Id,
    rule: OnlyByRule = None,
    as_json: Json = False,
) -> None:
    """Make the next attempt of a waiting delivery now, or deliver again what failed."""
    client = await parts.temporal()
    known = (await describe_event(client, event)).id
    rules = None if rule is None else [rule.lower()]
    done, words = "redelivered", "delivered again"
    if rules is not None:
        with contextlib.suppress(AlreadyEnded):
            await bring_forward(client, known, rules[0], task_queue=parts.settings.task_queue)
            done, words = "brought_forward", "the next attempt is made now"
    if done == "redelivered":
        await redeliver(client, known, rules=rules)
    print_answer({"event": event, "rule": rule, "done": done}, words, as_json=as_json)


def _row(listed: ListedEvent) -> tuple[str, ...]:
    return (
        f"{listed.accepted_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        listed.event or "",
        next(iter((listed.person or {}).values()), ""),
        _status(listed),
        str(len(listed.rules)),
        listed.event_id,
    )


def _status(listed: ListedEvent) -> str:
    if listed.held:
        return HELD.lower()
    word = WORDS[listed.status].lower()
    if listed.next_attempt_at is not None:
        return f"{word}, next {listed.next_attempt_at.astimezone(UTC):%H:%M:%S}"
    why = headline_of_failures(listed.failures)
    return f"{word}: {why}" if why else word


events.command("erase")(events_erase)
