"""How large an event may be, held to before it is sent.

The limits are the server's (`delivery/size.py`), written a second time as those in `event.py` are.
"""

from __future__ import annotations

from emitonce.errors import InvalidEvent

LARGEST_PAYLOAD = 256 * 1024
MOST_VALUES = 10_000


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
            "what is large (Customer.io accepts 32,000 for one call)"
        )
    if holds_more_values(payload, MOST_VALUES):
        raise EventTooLarge(
            f"payload: holds more than {MOST_VALUES:,} JSON values; send fewer, such as a long "
            "list as one text"
        )


def holds_more_values(data: bytes, limit: int) -> bool:
    """Whether the JSON text in `data` holds more than `limit` values, keys not counted.

    Takes a few milliseconds a megabyte at most. What isn't JSON gives either answer.
    """
    if 1 + data.count(b",") + data.count(b"[") + data.count(b"{") <= limit:
        return False
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    if data.count(b'"') > 4 * limit:  # a string is a value, or the key of one
        return True
    text = b'"'.join(data.split(b'"')[::2]).translate(None, b" \t\r\n")  # without strings
    values = 1 + text.count(b",") + text.count(b"[") + text.count(b"{")
    return values - text.count(b"[]") - text.count(b"{}") > limit
