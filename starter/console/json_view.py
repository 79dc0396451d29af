"""Show JSON for reading: indented, its parts marked for the style sheet, all of it escaped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup, escape

# Of one page, over all that it shows; what is cut off is replaced by `MORE`.
MOST_LINES = 2_000
MOST_CHARACTERS = 64 * 1024

MORE = "… and more: GET /events/{id}/payload and exports have all of it"

# Of one text; a page has room for several of these.
LONGEST_TEXT = 16 * 1024


class JsonView:
    """Show the values of one page, as far as there is room for them."""

    def __init__(self) -> None:
        self._lines = MOST_LINES
        self._characters = MOST_CHARACTERS

    def __call__(self, value: Any) -> Markup:
        """Return the value as lines for a `<pre>`, with `<span>`s in them."""
        lines: list[str] = []
        for line in _lines(value, "", "", ""):
            self._lines -= 1
            self._characters -= len(line)
            if self._lines < 0 or self._characters < 0:
                lines.append(escape(MORE))
                break
            lines.append(line)
        return Markup("\n".join(lines))  # noqa: S704  each of them is escaped


def _lines(value: Any, indent: str, before: str, after: str) -> Iterator[str]:
    """Yield lines of HTML, each starting with `before`: `Markup` would look at each part again."""
    if not isinstance(value, dict | list) or not value:
        kind = "s" if isinstance(value, str) else "n"
        yield f'{indent}{before}<span class="{kind}">{escape(_text(value))}</span>{after}'
        return
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    yield f"{indent}{before}{opening}"
    inner = (
        ((f'<span class="k">{escape(_text(key))}</span>: ', item) for key, item in value.items())
        if isinstance(value, dict)
        else (("", item) for item in value)
    )
    for place, (key, item) in enumerate(inner):
        comma = "," if place < len(value) - 1 else ""
        yield from _lines(item, indent + "  ", key, comma)
    yield f"{indent}{closing}{after}"


def _text(value: Any) -> str:
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        left_out = len(value) - LONGEST_TEXT
        return f"{json.dumps(value[:LONGEST_TEXT], ensure_ascii=False)} … {left_out:,} more"
    return json.dumps(value, ensure_ascii=False)
