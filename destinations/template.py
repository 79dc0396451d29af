"""Text with values of the payload put in: `{{email}}`, `{{user.name}}`.

Between the braces stands a path, as in a mapping: names with dots between them, a number in it is
an index into a list. There is nothing else: no conditions, no loops, no filters, nothing is run.
Single braces, and `}}` by itself, are text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, JsonValue, StrictStr

from delivery.errors import MappingError
from delivery.mapping import value_at
from delivery.mapping_schema import LONGEST_PATH, PATH_PATTERN
from delivery.text import kind
from delivery.transforms import to_string

LONGEST_TEMPLATE = 10_000  # characters

OnMissing = Literal["fail", "empty"]

_PATH = re.compile(PATH_PATTERN)


def read_template(text: str) -> str:
    """Return `text` if it can be rendered.

    Raises:
        ValueError: it can't be; says where and why.
    """
    if len(text) > LONGEST_TEMPLATE:
        raise ValueError(
            f"has {len(text):,} characters, must have at most {LONGEST_TEMPLATE:,}; shorten it"
        )
    if not text.strip():
        raise ValueError("is blank; write some text")
    for count, (_, path) in enumerate(_parts(text), 1):
        if path is not None and (len(path) > LONGEST_PATH or not _PATH.fullmatch(path)):
            raise ValueError(
                f"can't be read at its {count}. {{{{: a path such as email or user.name and }}}} "
                "must follow"
            )
    return text


# A template in a rule's metadata, checked when the rule is saved.
Template = Annotated[StrictStr, AfterValidator(read_template)]


def render(
    template: str,
    payload: dict[str, JsonValue],
    *,
    escape: Callable[[str], str],
    longest: int,
    on_missing: OnMissing,
) -> str:
    """Put the payload's values in, each after `escape`. What the template says itself stays.

    Work is bounded by `longest` (characters) and the template's length, whatever the values are.

    Raises:
        MappingError: a value is missing or is an object or a list, or the text is too long.
    """
    rendered: list[str] = []
    length = 0
    for text, path in _parts(template):
        value = "" if path is None else escape(_text_at(path, payload, on_missing))
        rendered += (text, value)
        length += len(text) + len(value)
        if length > longest:
            raise MappingError(
                "template",
                f"gives more than {longest:,} characters with its values; use shorter ones",
            )
    return "".join(rendered)


def _parts(template: str) -> Iterator[tuple[str, str | None]]:
    """Yield text and the path that follows it; of the last text, None."""
    text, *rest = template.split("{{")
    for part in rest:
        path, closed, after = part.partition("}}")
        yield text, path.strip() if closed else ""
        text = after
    yield text, None


def _text_at(path: str, payload: dict[str, JsonValue], on_missing: OnMissing) -> str:
    value = value_at(path, payload)
    if isinstance(value, dict | list):
        raise MappingError("template", f"{{{{{path}}}}} is {kind(value)}; name a value inside it")
    if value is None and on_missing == "fail":
        raise MappingError(
            "template",
            f"{{{{{path}}}}} has no value in this event; send one, or set on_missing to empty",
        )
    return "" if value is None else to_string(value)
