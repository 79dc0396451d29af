"""How large an event may be, and what that is held against: bytes and JSON values, cheaply.

Bytes bound what is stored and moved, values what is computed: of a megabyte of empty lists every
process that touches it has 340,000 values to make. `emitonce/size.py` has the same limits for
clients.
"""

from __future__ import annotations

import json
import re

from pydantic import JsonValue

from delivery.errors import EventTooLarge

LARGEST_PAYLOAD = 256 * 1024
MOST_VALUES = 10_000
# For all else in an input: names, ids and up to a hundred rules.
LARGEST_BESIDE = 16 * 1024

# Up to and with the next comma or bracket that stands for a value: not in a string, not of an
# empty list or object. It matches everywhere, an unclosed string and the end too, so that nothing
# is looked at twice.
_NEXT_VALUE = re.compile(
    rb'(?:[^",\[{]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"?|\[[ \t\r\n]*+\]|\{[ \t\r\n]*+\})*+([,\[{])?',
    re.DOTALL,
)


def holds_more_values(data: bytes, limit: int) -> bool:
    """Whether the JSON text in `data` holds more than `limit` values, keys not counted.

    Looks no further than it has to, so that its time is bounded by `limit`, or a millisecond a
    megabyte where commas and brackets are few. What isn't JSON gives either answer.
    """
    if 1 + data.count(b",") + data.count(b"[") + data.count(b"{") <= limit:
        return False
    found = 1
    for match in _NEXT_VALUE.finditer(data):
        if match[1] is None:
            return False
        found += 1
        if found > limit:
            return True
    return False


def is_small(data: bytes) -> bool:
    """Whether an event's input is within the limits whatever it holds."""
    return len(data) <= LARGEST_PAYLOAD and not holds_more_values(data, MOST_VALUES)


def check_size(fields: dict[str, JsonValue]) -> None:
    """Hold an event's input to the limits, as our own clients would store it.

    `redelivery` doesn't count: it carries the log of earlier runs, and has limits of its own.

    Raises:
        EventTooLarge: the payload, or what stands beside it, is too large.
    """
    payload = _stored(fields.get("payload"))
    if len(payload) > LARGEST_PAYLOAD:
        raise EventTooLarge(
            "payload",
            f"is {len(payload):,} bytes, limit {LARGEST_PAYLOAD:,}; send less, such as a link to "
            "what is large (Customer.io takes 32,000 for one call)",
        )
    if holds_more_values(payload, MOST_VALUES):
        raise EventTooLarge(
            "payload",
            f"holds more than {MOST_VALUES:,} JSON values; send fewer, such as a long list as one "
            "text",
        )
    beside = {name: fields[name] for name in fields if name not in ("payload", "redelivery")}
    if (size := len(_stored(beside))) > LARGEST_BESIDE:
        raise EventTooLarge(
            "input",
            f"holds {size:,} bytes beside the payload, limit {LARGEST_BESIDE:,}; leave out what "
            "is not read",
        )


def _stored(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="surrogatepass")
