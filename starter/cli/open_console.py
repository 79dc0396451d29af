"""`emitonce open`"""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from catalog.errors import NotFound
from eventlog.fetch import EventNotFound, read_event_log
from settings import Settings
from starter.cli.dependencies import Dependencies, with_dependencies
from starter.cli.output import Json, console, print_answer
from starter.dev.running_stack import running_stack


@with_dependencies
async def open_console(
    parts: Dependencies,
    event: Annotated[
        str | None, typer.Argument(help="An event's id. Absent: the workspace in use.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Open the console in a browser, and print the address. To a pipe, only print it."""
    if event is None:
        workspace = await parts.names.in_use()
        page = f"/w/{workspace}" if workspace else "/"
    else:
        log = await read_event_log(await parts.temporal(), event)
        try:
            await parts.catalog.workspaces.get(parts.organization, log.workspace or "")
        except NotFound:
            raise EventNotFound(f"event {event} is not known here: wrong id?") from None
        page = f"/w/{log.workspace}/events/{log.event_id}"
    url = _console(parts.settings) + page
    print_answer({"url": url}, url, as_json=as_json)
    if console.is_terminal and not as_json:
        webbrowser.open(url)


def _console(settings: Settings) -> str:
    if settings.public_url:
        return settings.public_url.rstrip("/")
    stack = None if settings.env == "production" else running_stack(settings.data_dir)
    if stack:
        return str(stack["http"])
    return f"http://{settings.http_host}:{settings.http_port}"
