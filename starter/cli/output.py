"""What commands print: JSON for programs on stdout, words for people; remarks go to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


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
    records: Sequence[Any],
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    empty: str,
    as_json: bool,
) -> None:
    """Print a whole list: as the one page that the HTTP API would answer with, or as a table."""
    if as_json:
        from catalog.paging import LARGEST_LIMIT  # with a client that help does not need

        page = {"count": len(records), "limit": LARGEST_LIMIT, "next_cursor": None}
        print_json({**page, "records": records})
    else:
        print_table(columns, rows, empty=empty)


def say(line: str) -> None:
    remarks.print(line, style="dim", markup=False)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    if not rows:
        console.print(empty, markup=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "id")
    for row in rows:
        table.add_row(*map(Text, row))  # as it is: names may hold what rich reads as markup
    console.print(table)
