"""How large an event may be, in bytes and in JSON values, checked cheaply.

Bytes limit what is stored and moved, values what is computed: a megabyte of empty lists is 340,000
values in every process that parses it. `emitonce/size.py` has the same limits for clients.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from delivery.errors import EventTooLarge
from delivery.strict_json import outside_strings, without_escapes

# The feature by which a fleet starts to apply these limits, see `capabilities`.
SIZE_LIMIT = "size_limit"

LARGEST_PAYLOAD = 256 * 1024
MOST_VALUES = 10_000
# For everything else in an input: names, ids, up to a hundred rules, a few unknown fields.
LARGEST_BESIDE = 16 * 1024
MOST_BESIDE = 200

_TOO_MANY_VALUES = (
    f"holds more than {MOST_VALUES:,} JSON values; send fewer, such as a long list as one text"
)


def holds_more_values(data: bytes, limit: int) -> bool:
    """Say whether the JSON text in `data` holds more than `limit` values, not counting keys.

    Takes a few milliseconds per megabyte at most. If `data` isn't JSON, the answer is arbitrary.
    """
    if 1 + data.count(b",") + data.count(b"[") + data.count(b"{") <= limit:
        return False
    data = without_escapes(data)
    if data.count(b'"') > 4 * limit:  # every string is a value or the key of one
        return True
    text = b'"'.join(outside_strings(data)).translate(None, b" \t\r\n")
    values = 1 + text.count(b",") + text.count(b"[") + text.count(b"{")
    return values - text.count(b"[]") - text.count(b"{}") > limit


def is_small(data: bytes) -> bool:
    """Say whether an event's input is within the limits, whichever part of it is large."""
    return len(data) <= LARGEST_PAYLOAD and not holds_more_values(data, MOST_VALUES)


def check_input(data: bytes) -> None:
    """Check an input before it is parsed, so that no time is spent on one that is far too large.

    Raises:
        EventTooLarge: the payload, or everything else together, is too large.
    """
    if len(data) > LARGEST_PAYLOAD + LARGEST_BESIDE:
        raise EventTooLarge(
            "input",
            f"is {len(data):,} bytes, limit {LARGEST_PAYLOAD:,} for the payload and "
            f"{LARGEST_BESIDE:,} for all else; send less, such as a link to what is large",
        )
    if holds_more_values(data, MOST_VALUES + MOST_BESIDE):
        raise EventTooLarge("input", _TOO_MANY_VALUES)


def check_payload_size(payload: Mapping[str, object]) -> None:
    """Check a payload's size in the form in which our own clients would send it.

    Raises:
        EventTooLarge: it has too many bytes or values.
    """
    data = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    if len(data) > LARGEST_PAYLOAD:
        raise EventTooLarge(
            "payload",
            f"is {len(data):,} bytes, limit {LARGEST_PAYLOAD:,}; send less, such as a link "
            "to what is large (vendors accept far less for one call)",
        )
    if holds_more_values(data, MOST_VALUES):
        raise EventTooLarge("payload", _TOO_MANY_VALUES)
