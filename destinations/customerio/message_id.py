"""The id by which Customer.io recognizes a repeated request."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from delivery.attempt import Call
from delivery.timestamps import epoch_milliseconds

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME_BITS = 48
_HASH_BYTES = 10
_CHARACTERS = 26


def message_id(event_id: str, rule_id: str, call: Call, timestamp: datetime) -> str:
    """Make a ULID from what identifies the request: the same on every attempt and redelivery.

    48 bits of event time in milliseconds, then 80 bits of SHA-256 over `event|rule|call`. ULID is
    the form that Customer.io documents for de-duplication (Track API reference, event `id`).
    """
    milliseconds = min(max(epoch_milliseconds(timestamp), 0), (1 << _TIME_BITS) - 1)
    digest = sha256(f"{event_id}|{rule_id}|{call}".encode()).digest()[:_HASH_BYTES]
    number = (milliseconds << 8 * _HASH_BYTES) | int.from_bytes(digest, "big")
    return "".join(
        _CROCKFORD[number >> 5 * place & 0b11111] for place in reversed(range(_CHARACTERS))
    )
