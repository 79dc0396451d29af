"""`emitonce redeliver`: deliver many events again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from delivery.selection import EVENTS_PER_SECOND, MOST_PER_SECOND, Mode, Selection, select
from destinations.headlines import headline_of_failures
from operations.bulk_redelivery import (
    RedeliveryPlan,
    RedeliveryStatus,
    cancel_redelivery,
    plan_redelivery,
    start_redelivery,
    watch_redelivery,
)
from operations.redelivery_result import RedeliveryResult
from starter.cli.context import IN_USE, InWorkspace, OnlyByConnection, OnlyByRule
from starter.cli.dependencies import (
    Dependencies,
    recorded,
    said_when_slow,
    with_dependencies,
)
from starter.cli.errors import CommandFailed, Exit
from starter.cli.moments import Since, Until, moment_option
from starter.cli.output import Json, console, print_json, print_table, remarks, say
from starter.redelivery_objects import own_redelivery, plan_object, status_object, within

CAMPAIGNS = "they are sent as new calls: campaigns may start again, with messages to people"


def redeliver(
    workspace: InWorkspace = IN_USE,
    since: Since = None,
    until: Until = None,
    failed: Annotated[bool, typer.Option("--failed", help="Failed deliveries.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Delivered events, sent again as new ones.")
    ] = False,
    identify_only: Annotated[
        bool, typer.Option("--identify-only", help="Of delivered events, only identify.")
    ] = False,
    connection: OnlyByConnection = None,
    rule: OnlyByRule = None,
    event: Annotated[str | None, typer.Option(help="Only events of this name.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only what failed for this, see `emitonce issues list`.")
    ] = None,
    as_of: Annotated[
        datetime | None, moment_option("Only what had ended by then. Default: now.")
    ] = None,
    per_second: Annotated[
        float, typer.Option(min=0.01, max=MOST_PER_SECOND, help="Events started per second.")
    ] = EVENTS_PER_SECOND,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would do.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
    watch: Annotated[
        str | None, typer.Option(help="Follow a running redelivery, by its id.")
    ] = None,
    cancel: Annotated[
        str | None, typer.Option(help="Cancel a running redelivery, by its id.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Deliver the events of a time range again: what failed, or what was delivered.

    Ctrl-C stops watching; the redelivery continues. To cancel it, give --cancel ID.
    """
    if watch is not None or cancel is not None:
        status = _follow(watch, cancel, as_json)
    else:
        mode = _mode(failed=failed, again=again, identify_only=identify_only)
        if since is None:
            raise typer.BadParameter("give --since, such as --since 2h")
        choose = partial(
            select,
            accepted_from=since,
            accepted_to=until,
            as_of=as_of,
            now=datetime.now(UTC),
            event=event,
            mode=mode,
            reason=reason,
        )
        status = _run(
            choose,
            workspace=workspace,
            connection=connection,
            rule=rule,
            per_second=per_second,
            dry_run=dry_run,
            ask=not (yes or dry_run),
            as_json=as_json,
        )
    if status is not None and as_json:
        print_json(status_object(status))
    if status is not None and status.state == "failed":
        raise CommandFailed(Exit.BAD)


def _mode(**chosen: bool) -> Mode:
    modes = [Mode(mode) for mode, given in chosen.items() if given]
    if len(modes) != 1:
        raise typer.BadParameter("give one of --failed, --again and --identify-only")
    return modes[0]


@with_dependencies
async def _run(
    parts: Dependencies,
    choose: Callable[..., Selection],
    *,
    workspace: InWorkspace,
    connection: OnlyByConnection,
    rule: OnlyByRule,
    per_second: float,
    dry_run: bool,
    ask: bool,
    as_json: bool,
) -> RedeliveryStatus | None:
    chosen = choose(workspace, connection=connection, rule=rule)
    selection = await within(parts.catalog, parts.organization, chosen)
    client = await parts.temporal()
    plan = await plan_redelivery(client, selection)
    if not as_json:
        _show(plan)
    elif dry_run:
        print_json(plan_object(plan))
    if dry_run:
        return None
    if selection.mode.sends_delivered_ones:
        say(CAMPAIGNS)
    if ask and plan.matched and not typer.confirm(f"Redeliver {_count(plan)}?", err=True):
        raise CommandFailed(Exit.REFUSED, "nothing was started")
    status = await _start(parts, plan, per_second)
    say(f"redelivery {status.id}")
    return await _watch(parts, status.id, as_json)


@with_dependencies
async def _follow(
    parts: Dependencies, watch: str | None, cancel: str | None, as_json: bool
) -> RedeliveryStatus | None:
    id = cancel or watch or ""
    await own_redelivery(await parts.temporal(), parts.catalog, parts.organization, id)
    if cancel is not None:
        await _cancel(parts, redelivery=id)
    return await _watch(parts, id, as_json)


@recorded("create_redelivery")
async def _start(parts: Dependencies, plan: RedeliveryPlan, per_second: float) -> RedeliveryStatus:
    status = await start_redelivery(
        await parts.temporal(),
        plan,
        task_queue=parts.settings.task_queue,
        per_second=per_second,
    )
    parts.made["redelivery_id"] = status.id
    return status


@recorded("cancel_redelivery")
async def _cancel(parts: Dependencies, *, redelivery: str) -> None:
    await cancel_redelivery(await parts.temporal(), redelivery)


async def _watch(parts: Dependencies, id: str, as_json: bool) -> RedeliveryStatus:
    client = await parts.temporal()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=remarks,
    )
    async with said_when_slow(parts, f"redelivery {id}"):
        with bar:
            task = bar.add_task("delivering again", total=None)
            async for status in watch_redelivery(client, id):
                if status.progress is not None:
                    total = max(status.progress.planned, status.progress.done)
                    bar.update(task, total=total, completed=status.progress.done)
    if not as_json:
        _report(status)
    return status


def _show(plan: RedeliveryPlan) -> None:
    console.print(f"{_count(plan)} selected", markup=False)
    if plan.sample:
        rows = [
            (
                listed.event_id,
                listed.event or "",
                listed.accepted_at.isoformat(),
                headline_of_failures(listed.failures) or listed.status,
            )
            for listed in plan.sample
        ]
        print_table(("id", "event", "accepted", "status"), rows, empty="")


def _count(plan: RedeliveryPlan) -> str:
    noun = "event" if plan.matched == 1 else "events"
    return f"{'' if plan.exact else 'about '}{plan.matched} {noun}"


def _report(status: RedeliveryStatus) -> None:
    progress = status.progress
    if progress is None:
        console.print(
            f"{status.state}; no worker is available to report its progress", markup=False
        )
        return
    console.print(
        f"{status.state}: {progress.redelivered} redelivered, {progress.skipped} skipped",
        markup=False,
    )
    if status.result is not None:
        _report_result(status, status.result)
    for outcome in progress.latest_skipped[-10:]:
        console.print(f"  {outcome.event_id}  {outcome.reason}", markup=False)


def _report_result(status: RedeliveryStatus, result: RedeliveryResult) -> None:
    about = "" if result.exact else "about "
    outcomes = [f"{result.delivered} delivered", f"{about}{result.failed_again} failed again"]
    outcomes += [
        f"{number} {how}"
        for number, how in (
            (result.under_way, "in progress"),
            (result.canceled, "canceled"),
            (result.redelivered_since, "redelivered since"),
            (result.unknown, "unknown"),
        )
        if number
    ]
    console.print(f"  {', '.join(outcomes)}", markup=False)
    if result.failed_again:
        say(
            f"the failed ones: emitonce events list --workspace {status.selection.workspace} "
            f"--redelivery {status.id} --status failed"
        )
    if result.under_way:
        say(f"look again: emitonce redeliver --watch {status.id}")
