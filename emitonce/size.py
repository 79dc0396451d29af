"""How large an event may be, held to before it is sent.

The limits are the server's (`delivery/size.py`), written a second time as those in `event.py` are.
"""

from __future__ import annotations

import re

from emitonce.errors import InvalidEvent

LARGEST_PAYLOAD = 256 * 1024
MOST_VALUES = 10_000

# Up to and with the next comma or bracket that stands for a value: not in a string, not of an
# empty list or object. It matches everywhere, so that nothing is looked at twice.
_NEXT_VALUE = re.compile(
    rb'(?:[^",\[{]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"?|\[[ \t\r\n]*+\]|\{[ \t\r\n]*+\})*+([,\[{])?',
    re.DOTALL,
)


class EventTooLarge(InvalidEvent):
    """The payload has more bytes or values than an event may hold."""


def is_small(body: bytes, limit: int = LARGEST_PAYLOAD) -> bool:
    """Whether the event in `body` is within the limits, whatever of it is payload."""
    return len(body) <= limit and not holds_more_values(body, MOST_VALUES)


def check_payload_size(payload: bytes, limit: int = LARGEST_PAYLOAD) -> None:
    """Hold a payload to the limits, as it would be stored.

    Raises:
        EventTooLarge: it has more than `limit` bytes, or too many values.
    """
    if len(payload) > limit:
        raise EventTooLarge(
            f"payload: is {len(payload):,} bytes, limit {limit:,}; send less, such as a link to "
            "what is large (Customer.io takes 32,000 for one call)"
        )
    if holds_more_values(payload, MOST_VALUES):
        raise EventTooLarge(
            f"payload: holds more than {MOST_VALUES:,} JSON values; send fewer, such as a long "
            "list as one text"
        )


def holds_more_values(data: bytes, limit: int) -> bool:
    """Whether the JSON text in `data` holds more than `limit` values, keys not counted."""
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
