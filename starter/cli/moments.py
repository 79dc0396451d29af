"""Points in time as people type them: `2h` ago, or in full."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_duration(option: str, text: str) -> timedelta:
    """Read `90s`, `30m`, `2h`, `7d`, `1w`.

    Raises:
        typer.BadParameter: it is none of these.
        OverflowError: it is too long.
    """
    if (length := _AGO.fullmatch(text.strip())) is None:
        raise typer.BadParameter(f"{option}: must be a length of time such as 90s, 30m, 2h, 7d")
    return timedelta(**{_UNITS[length[2]]: float(length[1])})


def read_moment(option: str, text: str, now: datetime) -> datetime:
    """Read `90s`, `30m`, `2h`, `7d`, `1w` before `now`, or ISO 8601 with a time zone.

    Raises:
        typer.BadParameter: it is neither.
    """
    if _AGO.fullmatch(text.strip()):
        try:
            return now - read_duration(option, text)
        except OverflowError:
            raise typer.BadParameter(f"{option}: {text} is too long ago") from None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(
            f"{option}: must be a time such as 2026-11-23T18:00:00Z, or an age such as 30m, 2h, 7d"
        ) from None
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{option}: {text} has no time zone; put Z at its end for UTC")
    return moment.astimezone(UTC)
