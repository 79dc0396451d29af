"""What happens to a call's values before they are stored: limits, and dates as seconds.

Limits are those of the Track API reference ("Limits"), in UTF-8 bytes. Dates follow the source of
the vendor's destination at Segment: every ISO 8601 string, in objects at any depth, not in lists.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime

from pydantic import JsonValue

from destinations.customerio.simulator.call import CallBody

MAX_ID = 150
MAX_NAME = 150
MAX_VALUE = 1_000
MAX_ATTRIBUTES = 300
MAX_EVENT_NAME = 100

_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}"
    r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)


def call_faults(call: CallBody) -> list[str]:
    """List the limits that the ids and the event's name exceed; such a call has no effect."""
    faults = [
        f"{name} is longer than {MAX_ID} bytes"
        for name, value in (("userId", call.user_id), ("anonymousId", call.anonymous_id))
        if value and _size(value) > MAX_ID
    ]
    if _size(call.event) > MAX_EVENT_NAME:
        faults.append(f"event name cannot be longer than {MAX_EVENT_NAME} bytes")
    return faults


def within_limits(traits: dict[str, JsonValue]) -> tuple[dict[str, JsonValue], list[str]]:
    """Return the traits that are stored, and why the others are not."""
    kept: dict[str, JsonValue] = {}
    faults = []
    for name, value in traits.items():
        text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        if _size(name) > MAX_NAME:
            faults.append(f"attribute name cannot be longer than {MAX_NAME} bytes")
        elif _size(text) > MAX_VALUE:
            faults.append(f"value for attribute {name!r} cannot be longer than {MAX_VALUE} bytes")
        elif len(kept) == MAX_ATTRIBUTES:
            faults.append(f"cannot identify more than {MAX_ATTRIBUTES} attributes in one request")
        else:
            kept[name] = value
    return kept, faults


def dates_as_seconds(value: JsonValue) -> JsonValue:
    """Convert ISO 8601 strings to Unix seconds; without a zone they are read as UTC."""
    if isinstance(value, dict):
        return {name: dates_as_seconds(inner) for name, inner in value.items()}
    if not isinstance(value, str) or not _ISO.fullmatch(value):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    return math.floor((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def stored_form(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: dates_as_seconds(value) for name, value in values.items()}


def _size(text: str) -> int:
    return len(text.encode(errors="replace"))
