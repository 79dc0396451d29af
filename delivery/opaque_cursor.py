"""Write cursors of lists as opaque, URL-safe tokens. Each list decides what its tokens hold."""

from __future__ import annotations

import base64

UNKNOWN = "was not given out by this list; start without one"


class InvalidCursor(ValueError):
    """The cursor was not given out by a list of ours."""

    def __init__(self) -> None:
        super().__init__(f"cursor: {UNKNOWN}")


def write_cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(token: str) -> str:
    """Return the text that `write_cursor` was given.

    Raises:
        InvalidCursor: `write_cursor` didn't make this token.
    """
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except ValueError:  # also binascii.Error and UnicodeError
        raise InvalidCursor from None
    if write_cursor(text) != token:
        raise InvalidCursor
    return text
