"""When an event happened, as a caller gives it: an aware datetime, or RFC 3339 text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from emitonce.errors import InvalidEvent

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,12}))?)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})?)?"
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
    year, month, day, hour, minute, second, _, offset = match.groups()
    if offset is None:
        raise InvalidEvent("timestamp: has no offset; add Z or one such as +02:00")
    try:
        day_of_it = datetime(int(year), int(month), int(day), tzinfo=_zone(offset))
        moment = day_of_it.replace(
            hour=int(hour), minute=int(minute), second=int(second or 0)
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidEvent("timestamp: names a date or time that does not exist") from None
    if moment < _EARLIEST:
        raise InvalidEvent("timestamp: lies before 1970; check the sender's clock")


def _zone(offset: str) -> tzinfo:
    if offset in ("Z", "z"):
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError("no such offset")
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(-ahead if offset[0] == "-" else ahead)
