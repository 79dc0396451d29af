"""Show what would be sent as tables for reading: the person, what is known of them, the event."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from delivery.attempt import Call
from delivery.message import Message

TITLES: dict[Call, str] = {"identify": "Person", "track": "Event", "send": "Message"}
# They differ for each event, or are the same for all; the JSON has them.
TECHNICAL = frozenset({"context", "messageId", "timestamp"})
MOST_ROWS = 100
LONGEST_TEXT = 300


@dataclass(frozen=True)
class MessageTable:
    """A heading, and rows of name and value."""

    title: str
    rows: list[tuple[str, str]]


def tables(messages: Sequence[Message]) -> list[MessageTable]:
    """Return a table for each message and for each object in it; what a message repeats is left
    out."""
    found: list[MessageTable] = []
    said: dict[str, JsonValue] = {}
    for message in messages:
        new = {
            key: value
            for key, value in message.body.items()
            if key not in TECHNICAL and (key not in said or said[key] != value)
        }
        said |= new
        parts = {key: value for key, value in new.items() if isinstance(value, dict) and value}
        own = {key: value for key, value in new.items() if key not in parts}
        found.append(_table(TITLES[message.call], own))
        found += [_table(_heading(key), value) for key, value in parts.items()]
    return [table for table in found if table.rows]


def _table(title: str, values: dict[str, Any]) -> MessageTable:
    rows = list(_rows(values, ""))
    if len(rows) > MOST_ROWS:
        rows = [*rows[:MOST_ROWS], ("…", f"and {len(rows) - MOST_ROWS:,} more")]
    return MessageTable(title, rows)


def _rows(values: dict[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
            yield from _rows(value[0], "")
        elif isinstance(value, dict) and value and not before:
            yield from _rows(value, f"{key}.")
        else:
            yield f"{before}{key}", _text(value)


def _heading(key: str) -> str:
    return key[:1].upper() + key[1:]


def _text(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
