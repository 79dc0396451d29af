"""Print the tour and an event's log on a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import JsonValue
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from delivery.attempt import Attempt
from delivery.delivery_log import CallLog, DeliveryLog
from delivery.message import Messages
from delivery.result import Status
from destinations.headlines import headline_of
from eventlog.log import EventLog
from starter.cli.output import console

if TYPE_CHECKING:
    from starter.dev.stack import DevStack

COLORS = {
    Status.COMPLETED: "green",
    Status.FAILED: "red",
    Status.CANCELED: "yellow",
    Status.RETRYING: "yellow",
}


def show_title(text: str) -> None:
    console.rule(f"[bold]{text}", align="left", style="dim")


def show_line(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def show_end(stack: DevStack, faults: Sequence[str]) -> None:
    if faults:
        console.print("[red]These checks failed:[/red] " + "; ".join(faults))
    else:
        console.print("[green]All checks passed.[/green]")
    show_line(f"Console: {stack.console}")
    if stack.ui:
        show_line(f"Temporal Web UI: {stack.ui}")


def show_messages(messages: Messages) -> None:
    """Print requests that were not sent."""
    width = max(36, (console.width - 2) // 2)
    panels = [_body_panel(message.call, message.body, width) for message in messages.messages]
    console.print(Columns(panels, padding=(0, 1)))
    for warning in messages.warnings:
        console.print(f"note: {warning}", markup=False, style="yellow")


def show_log(log: EventLog, *, url: str | None = None) -> None:
    """Print an event: its deliveries, their requests side by side, every attempt.

    `url` is the run's in the Temporal Web UI.
    """
    title = Text.assemble(
        (log.event or "event", "bold"), "  ", (log.status, COLORS.get(log.status, "cyan"))
    )
    console.print(title)
    if log.error:
        console.print(f"  {log.error}", markup=False, style="red")
    for delivery in log.deliveries:
        _show_delivery(delivery)
    if not log.deliveries and log.status is Status.COMPLETED:
        show_line("  no rule matches this event: nothing was sent")
    _show_url(url)


def show_side_by_side(log: EventLog, *, url: str | None = None) -> None:
    """Print an event's deliveries, each in a column of its own. `url` as in `show_log`."""
    table = Table(expand=True)
    for delivery in log.deliveries:
        color = COLORS.get(delivery.status, "cyan")
        table.add_column(
            Text.assemble(delivery.connection_name, "  ", (delivery.status, color)), ratio=1
        )
    table.add_row(*(Group(*_lines(delivery)) for delivery in log.deliveries))
    console.print(table)
    _show_url(url)


def _show_url(url: str | None) -> None:
    if url:
        show_line(f"in the Temporal Web UI: {url}")


def _lines(delivery: DeliveryLog) -> Iterator[RenderableType]:
    for call in delivery.calls:
        yield Text(call.call, style="bold")
        yield _json(call.request)
        for attempt in call.attempts:
            yield Text(f"{_clock(attempt.started_at)}  {attempt.message}\n", style="dim")


def _show_delivery(delivery: DeliveryLog) -> None:
    console.print(
        Text.assemble(
            "→ ",
            delivery.connection_name,
            "  ",
            (delivery.status, COLORS.get(delivery.status, "cyan")),
        )
    )
    for line in (delivery.held, headline_of(delivery) or delivery.last_error):
        if line:
            console.print(f"  {line}", markup=False, style="red")
    for warning in delivery.warnings:
        console.print(f"  note: {warning}", markup=False, style="yellow")
    calls = delivery.calls
    if calls:
        width = max(36, (console.width - 2) // 2)
        console.print(Columns([_panel(call, width) for call in calls], padding=(0, 1)))
    if delivery.status is Status.FAILED and delivery.identify and delivery.track is None:
        console.print("  track was not sent", style="dim")
    attempts = [attempt for call in calls for attempt in call.attempts]
    if attempts:
        console.print(_attempts(attempts))


def _panel(call: CallLog, width: int) -> Panel:
    answer = f"{call.status_code}" if call.status_code else "no answer"
    excerpt = (call.response_excerpt or "").strip()[:60]
    return _body_panel(call.call, call.request, width, f"{answer} {excerpt}".strip())


def _body_panel(
    call: str, body: dict[str, JsonValue], width: int, answer: str | None = None
) -> Panel:
    return Panel(_json(body), title=call, subtitle=Text(answer) if answer else None, width=width)


def _json(body: dict[str, JsonValue]) -> Syntax:
    text = json.dumps(body, ensure_ascii=False, indent=1)
    return Syntax(text, "json", word_wrap=True, background_color="default")


def _attempts(attempts: list[Attempt]) -> Table:
    columns = ("call", "attempt", "at (UTC)", "took", "answer", "next attempt")
    table = Table(*columns, box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for attempt in attempts:
        table.add_row(
            attempt.call,
            str(attempt.number),
            _clock(attempt.started_at),
            f"{attempt.duration_ms} ms",
            Text(attempt.message),
            _clock(attempt.next_attempt_at) if attempt.next_attempt_at else "",
        )
    return table


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"
