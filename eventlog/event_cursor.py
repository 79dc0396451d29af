"""The cursor of a list of events: an opaque, URL-safe token.

Events are ordered by a key that never changes: the time of first acceptance, then the id. So the
token only needs the last key shown. New events come before it and shift nothing; events that end
or are redelivered keep their place.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from delivery.opaque_cursor import InvalidCursor, read_cursor, write_cursor
from delivery.timestamps import EPOCH

LATEST = datetime(9000, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, order=True)
class Key:
    """An event's place in a list: newest first, then by id from the end of the alphabet."""

    accepted_at: datetime
    event_id: str


@dataclass(frozen=True)
class Cursor:
    """A place in a list: `after` is the last key shown, `width` the width of a suitable window."""

    after: Key
    width: timedelta

    def encode(self) -> str:
        parts = [
            (self.after.accepted_at - EPOCH) // MICROSECOND,
            self.after.event_id,
            self.width // MICROSECOND,
        ]
        return write_cursor(json.dumps(parts, separators=(",", ":")))

    @classmethod
    def decode(cls, token: str) -> Cursor:
        """Read a token.

        Raises:
            InvalidCursor: `encode` did not make this token.
        """
        try:
            accepted_at, event_id, width = json.loads(read_cursor(token))
            read = cls(
                Key(EPOCH + accepted_at * MICROSECOND, event_id), timedelta(microseconds=width)
            )
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise InvalidCursor from None
        known = isinstance(event_id, str) and EPOCH <= read.after.accepted_at < LATEST
        if not known or read.encode() != token:
            raise InvalidCursor
        return read
