"""A table fits the terminal, and what people copy from it stays whole."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from starter.cli.output import table_lines

ID = "0b5c1a0e-3c1b-4d7e-9a51-0d6f2b8c7e44"
COLUMNS = ("accepted (UTC)", "event", "about", "status", "rules", "id")
ROW = ("2026-11-27 10:43:33", "order.paid", "日本語@example.com", "failed: refused", "12", ID)


def test_a_table_that_fits_has_one_line_a_row() -> None:
    header, line = table_lines(COLUMNS, [ROW], 120)
    assert header.split("  ")[0] == "accepted (UTC)"
    assert all(value in line for value in ROW)
    assert line.index("order.paid") == header.index("event")


@pytest.mark.parametrize("event", ["x", "e" * 100, "日" * 40, "two\nlines\tand\x1b[31mcolor"])
def test_nothing_is_wider_than_eighty_columns_and_ids_are_whole(event: str) -> None:
    rows = [ROW, (ROW[0], event, *ROW[2:])]
    lines = list(table_lines(COLUMNS, rows, 80))
    assert max(map(cell_len, lines)) <= 80
    assert [line.strip() for line in lines[1::2]] == ["id", ID, ID]
    assert not any(character in line for line in lines for character in "\n\t\x1b")
