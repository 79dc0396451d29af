"""JSON laid out for reading: indented, its parts marked for the style sheet, all of it escaped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup, escape

# Laid out so far; of a longer one it is said how much is left out.
MOST_LINES = 2_000

_LINE = Markup("{indent}{before}{value}{after}")
_KEY = Markup('<span class="k">{}</span>: ')
_VALUE = {True: Markup('<span class="s">{}</span>'), False: Markup('<span class="n">{}</span>')}


def json_view(value: Any) -> Markup:
    """The value as lines for a `<pre>`, with `<span>`s in them."""
    lines = list(_lines(value, "", "", ""))
    if len(lines) > MOST_LINES:
        left_out = len(lines) - MOST_LINES
        lines = [*lines[:MOST_LINES], escape(f"… {left_out:,} more lines")]
    return Markup("\n").join(lines)


def _lines(value: Any, indent: str, before: str, after: str) -> Iterator[Markup]:
    if not isinstance(value, dict | list) or not value:
        shown = _VALUE[isinstance(value, str)].format(_text(value))
        yield _LINE.format(indent=indent, before=before, value=shown, after=after)
        return
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    yield _LINE.format(indent=indent, before=before, value=opening, after="")
    inner = (
        [(_KEY.format(_text(key)), item) for key, item in value.items()]
        if isinstance(value, dict)
        else [("", item) for item in value]
    )
    for place, (key, item) in enumerate(inner):
        comma = "," if place < len(inner) - 1 else ""
        yield from _lines(item, indent + "  ", key, comma)
    yield _LINE.format(indent=indent, before="", value=closing, after=after)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
