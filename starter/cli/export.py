"""`emitonce export`: the delivery log as JSON lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TextIO

import typer

from eventlog.export import Mark, export_logs, read_mark
from starter.cli.context import OnlyOfWorkspace
from starter.cli.dependencies import Dependencies, with_dependencies
from starter.cli.errors import CommandFailed, Exit
from starter.cli.moments import moment_option
from starter.cli.output import say

LONGEST_LINE = 64 * 1024 * 1024


def export(
    since: Annotated[
        datetime | None, moment_option("Ended since: 2h, 7d, or 2026-11-23T18:00:00Z.")
    ] = None,
    until: Annotated[datetime | None, moment_option("Ended before. Default: now.")] = None,
    workspace: OnlyOfWorkspace = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Append to this file. Default: standard output."),
    ] = None,
) -> None:
    """Export the delivery log of every event that has ended, in the order in which they ended.

    One JSON object a line: closed_at, run_id, event_id, log. It holds personal data. Run it
    again with the same file and it continues where it stopped, so a daily run keeps a record for
    longer than Temporal does.
    """
    now = datetime.now(UTC)
    after = None if output is None else _read_mark(output)
    if since is None and after is None:
        raise typer.BadParameter("--since is needed for a first export, such as --since 30d")
    started, ended = since or now, until or now
    if (after.closed_at if after else started) > ended:
        raise typer.BadParameter("--since, --until: the time range is empty")

    @with_dependencies
    async def write(parts: Dependencies, *, workspace: OnlyOfWorkspace) -> tuple[int, int]:
        of = None
        if workspace is not None:
            of = (await parts.catalog.workspaces.get(parts.organization, workspace)).id
        client = await parts.temporal()
        written = gone = 0
        with opened(output) as file:
            async for exported in export_logs(
                client, ended_from=started, ended_to=ended, after=after, workspace=of
            ):
                file.write(exported.line() + "\n")
                file.flush()
                written += 1
                gone += exported.log is None
        return written, gone

    written, gone = write(workspace=workspace)
    say(f"{written} runs exported" + (f", {gone} of them past retention" if gone else ""))


@contextmanager
def opened(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    with _usable(output):
        descriptor = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def whole_lines(output: Path) -> None:
    """Remove a line that was cut off in the middle."""
    with _usable(output):
        if output.exists():
            _last_lines(output)


@contextmanager
def _usable(output: Path) -> Iterator[None]:
    """Report a file that can't be read or written."""
    try:
        yield
    except OSError as err:
        raise CommandFailed(
            Exit.REFUSED, f"--output: {output} can't be used: {err.strerror}; choose another file"
        ) from None


def _read_mark(output: Path) -> Mark | None:
    """Return where the file ends. A line that was cut off in the middle is removed."""
    with _usable(output):
        whole = _last_lines(output) if output.exists() else b""
    if not whole:
        return None
    try:
        return read_mark(whole.splitlines()[-1])
    except ValueError as err:
        raise CommandFailed(Exit.REFUSED, f"--output: {err}; choose another file") from None


def _last_lines(output: Path) -> bytes:
    """Return the file's last lines, all of them whole."""
    with output.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        tail = b""
        start = size
        while start > 0 and tail.count(b"\n") < 2 and len(tail) < LONGEST_LINE:
            start = max(start - 65_536, 0)
            file.seek(start)
            tail = file.read(size - start)
        whole = tail[: tail.rfind(b"\n") + 1]
        if len(whole) < len(tail):
            file.truncate(size - len(tail) + len(whole))
    return whole
