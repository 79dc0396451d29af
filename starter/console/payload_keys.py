"""What a payload has to choose from, and what a rule's form names but the payload lacks."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

from delivery.mapping import value_at
from delivery.mapping_schema import LONGEST_PATH, PATH_PATTERN
from starter.console.rule_form import RuleForm

MOST_OFFERED = 200

_PATH = re.compile(PATH_PATTERN)


def paths(payload: dict[str, Any]) -> Iterator[str]:
    """Yield paths to values, the shortest first; of a list, to its first item's."""
    return islice(_paths(payload), MOST_OFFERED)


def _paths(payload: dict[str, Any]) -> Iterator[str]:
    waiting = deque(payload.items())
    while waiting:
        path, value = waiting.popleft()
        if len(path) > LONGEST_PATH or not _PATH.fullmatch(path):
            continue
        if isinstance(value, dict) and value:
            waiting.extend((f"{path}.{key}", inner) for key, inner in value.items())
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            waiting.append((f"{path}.0", value[0]))
        else:
            yield path


def more_keys(chosen: str, payload: dict[str, Any]) -> Iterator[str]:
    """Yield what has been typed, completed by each key that it lacks."""
    *before, _ = [part.strip() for part in chosen.split(",", MOST_OFFERED)]
    known = [key for key in before if key in payload]
    more = (key for key in payload if key not in known and "," not in key)
    return (", ".join([*known, key]) for key in islice(more, MOST_OFFERED))


def missing(form: RuleForm, payload: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each path or key that is named, but isn't in this payload.

    A field that takes the key of its own name may well be absent.
    """
    for row in form.rows:
        usual = row.value == row.dest or any(step.type == "default" for step in row.steps)
        if row.value and row.kind == "path" and not usual and value_at(row.value, payload) is None:
            yield f"{row.dest or 'A field'}: “{row.value}” isn't in this payload."
    chosen = form.given.get("track_properties", "none")
    keys = [] if chosen in ("none", "payload") else chosen.split(",", MOST_OFFERED)[:MOST_OFFERED]
    for key in keys:
        if key.strip() and key.strip() not in payload:
            yield f"Properties of the event: this payload has no “{key.strip()}”."
