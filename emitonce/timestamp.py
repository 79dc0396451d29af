"""When an event happened, as a caller gives it: an aware datetime, or RFC 3339 text."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from emitonce.errors import InvalidEvent

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
# Of what `datetime.fromisoformat` reads, in every release of Python, what the server reads too.
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,12})?)?"
    r"([Zz]|[+-][0-9]{2}:?[0-5][0-9])?)?"
)


def timestamp_text(given: datetime | str | None) -> str | None:
    """As it is sent: text as it was given, a datetime in UTC to the millisecond.

    Raises:
        InvalidEvent: a datetime without a time zone, or one that UTC has no year for.
    """
    if not isinstance(given, datetime):
        return given
    if given.tzinfo is None:
        raise InvalidEvent("timestamp: has no time zone; use datetime.now(timezone.utc)")
    try:
        return given.astimezone(UTC).isoformat(timespec="milliseconds")
    except OverflowError:
        raise InvalidEvent("timestamp: lies outside the years 1 to 9999") from None


def check_timestamp(text: object) -> None:
    """Raises `InvalidEvent` for text that the server would not read as a time since 1970."""
    if text is None:
        return
    if not isinstance(text, str):
        raise InvalidEvent(
            "timestamp: must be a datetime with a time zone, or a string such as "
            f"2026-11-23T18:00:00.000Z, not {type(text).__name__}"
        )
    match = _ISO.fullmatch(text)
    if match is None:
        raise InvalidEvent("timestamp: is not an ISO 8601 time such as 2026-11-23T18:00:00Z")
    if match[1] is None:
        raise InvalidEvent("timestamp: has no offset; add Z or one such as +02:00")
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidEvent("timestamp: names a date or time that does not exist") from None
    if moment < _EARLIEST:
        raise InvalidEvent("timestamp: lies before 1970; check the sender's clock")
