"""Timestamps as text: ISO 8601, read strictly and written in one form."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,12}))?)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})?)?"
)


def read_iso(text: str, zone: tzinfo | None = None) -> datetime:
    """Read `YYYY-MM-DD`, optionally with a time and an offset; the result is aware.

    `zone` applies to a text without an offset; without a zone such a text is refused. Digits beyond
    microseconds are dropped.

    Raises:
        ValueError: another form, a time that does not exist, or neither offset nor zone. The
            message is for people and holds no value.
    """
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError("is not an ISO 8601 date or time such as 2026-11-23T18:00:00Z")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    read_zone = _read_offset(offset) if offset else zone
    if read_zone is None:
        raise ValueError("has no offset; add Z or one such as +02:00")
    try:
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "")[:6].ljust(6, "0")),
            tzinfo=read_zone,
        )
    except ValueError:
        raise ValueError("names a date or time that does not exist") from None


def _read_offset(offset: str) -> tzinfo:
    if offset in ("Z", "z"):
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError("has an offset that does not exist")
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(-ahead if offset[0] == "-" else ahead)


def to_utc(moment: datetime) -> datetime:
    """Convert `moment` to UTC.

    Raises:
        ValueError: in UTC it is outside the years 1 to 9999.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside the years 1 to 9999") from None


def iso_milliseconds(moment: datetime) -> str:
    """Write `moment` in UTC with milliseconds and `Z`, as it is sent everywhere."""
    utc = moment.astimezone(UTC)
    # %Y does not pad years before 1000 on every platform.
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z".rjust(24, "0")


def epoch_milliseconds(moment: datetime) -> int:
    """Return whole milliseconds since 1970, rounded down."""
    return (moment - EPOCH) // timedelta(milliseconds=1)
