"""Points in time as people type them: `2h` ago, or in full."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_duration(text: str, option: str | None = None) -> timedelta:
    """Read `90s`, `30m`, `2h`, `7d`, `1w`, as the value of `option`.

    Raises:
        typer.BadParameter: it is none of these, or too long.
    """
    if (length := _AGO.fullmatch(text.strip())) is None:
        msg = "must be a length of time such as 90s, 30m, 2h, 7d"
        raise typer.BadParameter(msg, param_hint=option)
    try:
        return timedelta(**{_UNITS[length[2]]: float(length[1])})
    except OverflowError:
        raise typer.BadParameter(f"{text} is too long", param_hint=option) from None


def read_moment(text: str) -> datetime:
    """Read `90s`, `30m`, `2h`, `7d`, `1w` before now, or ISO 8601 with a time zone.

    Raises:
        typer.BadParameter: it is neither.
    """
    if _AGO.fullmatch(text.strip()):
        try:
            return datetime.now(UTC) - read_duration(text)
        except OverflowError:  # before the year 1
            raise typer.BadParameter(f"{text} is too long ago") from None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(
            "must be a time such as 2026-11-23T18:00:00Z, or an age such as 30m, 2h, 7d"
        ) from None
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{text} has no time zone; put Z at its end for UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise typer.BadParameter(f"{text} is before the year 1, or after 9999, in UTC") from None


def moment_option(help: str) -> Any:
    """Make an option that is read by `read_moment`."""
    return typer.Option(parser=read_moment, metavar="TIME", help=help)


Since = Annotated[
    datetime | None, moment_option("Accepted since: 2h, 7d, or 2026-11-23T18:00:00Z.")
]
Until = Annotated[datetime | None, moment_option("Accepted before. Default: now.")]
