"""What commands print: JSON for programs on stdout, words for people; remarks go to stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console

from starter.cli.errors import CommandFailed, Exit

Yes = Annotated[bool, typer.Option("--yes", help="Confirm: this can't be undone.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]

GAP = 2  # blanks between columns
NARROWEST = 6  # a column, with its gap

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


class _Screen(Console):
    def on_broken_pipe(self) -> None:
        """Go on without printing when the reader has left, as `head` does: the exit code counts."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


console = _Screen(highlight=False)
remarks = Console(stderr=True, highlight=False)


def print_json(value: Any, *, indent: int | None = 2) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=indent) + "\n")
    sys.stdout.flush()


def print_line(value: Any) -> None:
    """Print one line of JSON, for programs that read line by line."""
    print_json(value, indent=None)


def print_answer(value: Any, words: str, *, as_json: bool, indent: int | None = 2) -> None:
    """Print `value` for programs, or `words` for people."""
    if as_json:
        print_json(value, indent=indent)
    else:
        console.print(words, markup=False, soft_wrap=True)


def print_records(
    records: list[dict[str, Any]],
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    empty: str,
    as_json: bool,
) -> None:
    """Print a whole list: as the one page that the HTTP API would answer with, or as a table."""
    if as_json:
        from catalog.paging import LARGEST_LIMIT  # with a client that help does not need
        from starter.json_objects import page_object

        print_json(page_object(records, LARGEST_LIMIT))
    else:
        print_table(columns, rows, empty=empty)


def say(line: str) -> None:
    # A line break in the middle of a command would be copied with it.
    remarks.print(line, style="dim", markup=False, soft_wrap=True)


def require_yes(yes: bool, what: str) -> None:
    if not yes:
        raise CommandFailed(
            Exit.REFUSED, f"this {what} permanently: to confirm, run it again with --yes"
        )


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Print a table as wide as the terminal. To a pipe, print one line a row, with tabs between the
    values, and no header.
    """
    if not console.is_terminal:
        if not rows:
            say(empty)
        for row in rows:
            _write("\t".join(_plain(value) for value in row))
    elif not rows:
        console.print(empty, markup=False)
    else:
        header, *lines = table_lines(columns, rows, console.width)
        console.print(header, markup=False, soft_wrap=True, style="bold")
        for line in lines:
            console.print(line, markup=False, soft_wrap=True)


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Lay out a table. Where it is wider than `width`, ids get a line of their own, so that they
    can be copied; and if that isn't enough, the widest columns are shortened.
    """
    table = [[_plain(value) for value in row] for row in (columns, *rows)]
    own_line: list[list[str]] = []
    if sum(_widths(table)) > width:
        ids = [column for column in range(len(columns)) if _ID.fullmatch(table[-1][column])]
        own_line = [[row[column] for column in ids] for row in table]
        table = [[value for column, value in enumerate(row) if column not in ids] for row in table]
    widths = _widths(table)
    while sum(widths) > max(width, NARROWEST * len(widths)):
        widths[widths.index(max(widths))] -= 1
    for number, row in enumerate(table):
        cells = [_fit(value, size - GAP) for value, size in zip(row, widths, strict=True)]
        yield (" " * GAP).join(cells).rstrip()
        if own_line and own_line[number]:
            yield " " * GAP + "  ".join(own_line[number])


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    """Return each column's width, with the gap after it."""
    return [max(map(cell_len, column)) + GAP for column in zip(*table, strict=True)]


def _fit(value: str, size: int) -> str:
    if cell_len(value) > size:
        value = set_cell_size(value, size - 1) + "…"
    return set_cell_size(value, size)


def _plain(value: str) -> str:
    """Return a value without what would break the line."""
    return " ".join("".join(one if one.isprintable() else " " for one in value).split())


def _write(line: str) -> None:
    """Write a line as it is: the console would turn tabs into blanks."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        console.on_broken_pipe()
