"""Where a list goes on: an opaque, URL-safe token. What it holds is each list's own affair."""

from __future__ import annotations

import base64

UNKNOWN = "is not one that this list has given out; start without one"


class InvalidCursor(ValueError):
    """The cursor is not one that a list has given out."""

    def __init__(self) -> None:
        super().__init__(f"cursor: {UNKNOWN}")


def write_cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(token: str) -> str:
    """What `write_cursor` was given.

    Raises:
        InvalidCursor: it didn't make this token.
    """
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except ValueError:  # of which binascii.Error and UnicodeError are kinds
        raise InvalidCursor from None
    if write_cursor(text) != token:
        raise InvalidCursor
    return text
