"""The mapping's transforms: each converts one JSON value into another, or says why it can't.

| transform          | accepts                           | gives                                   |
| ------------------ | --------------------------------- | --------------------------------------- |
| to_string          | anything                          | text; objects and lists as compact JSON |
| to_number          | numbers; text as `12`, `-1.5e3`   | a number                                |
| to_boolean         | booleans, 0, 1, `_BOOLEANS`       | true or false                           |
| to_datetime        | ISO 8601, Unix time               | `2026-11-23T18:00:00.000Z`, in UTC      |
| to_date            | the same                          | `2026-11-23`, the day in `timezone`     |
| default            | null, blank text, an absent value | its own value; anything else passes     |
| trim, lower, upper | text, numbers, booleans           | text                                    |
| substring          | the same                          | text; counts code points                |

`null` passes every transform except `default` unchanged, and blank text becomes null where a
number, a boolean or a time is wanted: there is nothing to convert. A number of 1e11 or more is read
as milliseconds: as seconds it would be later than the year 5138. `timezone` (default UTC) applies
to a time without an offset, and decides which day `to_date` gives.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from pydantic import JsonValue

from delivery.mapping_schema import Default, Substring, ToTime, Transform
from delivery.message import encode_value
from delivery.strict_json import MAX_NUMBER_CHARACTERS
from delivery.text import kind
from delivery.timestamps import EPOCH, iso_milliseconds, read_iso, to_utc

_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "no", "n", "off", "0"), False),
}
_OF_TEXT: Mapping[str, Callable[[str], str]] = {
    "trim": str.strip,
    "lower": str.lower,
    "upper": str.upper,
}
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_ZONE_NAME = re.compile(r"UTC|GMT|(?!posix/|right/)[A-Za-z_]+(/[A-Za-z0-9_+-]+)+")
_ZONES = files("tzdata").joinpath("zoneinfo")
_FIRST_MILLISECONDS = 1e11
_EXACT_INTEGERS = 2**53


class TransformError(Exception):
    """A transform can't convert a value. The message is for people and holds no value."""


def apply(transform: Transform, value: JsonValue) -> JsonValue:
    """Apply one transform; pass None for an absent value.

    Raises:
        TransformError: the transform does not accept this kind or form of value.
    """
    if isinstance(transform, Default):
        return transform.value if value is None or is_blank(value) else value
    if value is None:
        return None
    if isinstance(transform, Substring):
        end = None if transform.length is None else transform.start + transform.length
        return _text(transform, value)[transform.start : end]
    if transform.type == "to_string":
        return to_string(value)
    if transform.type in _OF_TEXT:
        return _OF_TEXT[transform.type](_text(transform, value))
    if is_blank(value):
        return None
    if isinstance(transform, ToTime):
        return _to_time(transform, value)
    return _to_number(value) if transform.type == "to_number" else _to_boolean(value)


def is_blank(value: JsonValue) -> bool:
    return isinstance(value, str) and not value.strip()


def to_string(value: JsonValue) -> str:
    """Keep text, write whole numbers without a fraction (`2048.0` → `2048`), the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_INTEGERS:
        return str(int(value))
    return encode_value(value)


def zone(name: str | None) -> tzinfo:
    """Return the time zone of an IANA name such as `Europe/Berlin`; UTC for None.

    It comes from the pinned `tzdata` package, not from the machine, so that every worker builds the
    same bytes. Names whose meaning depends on the machine (`localtime`) or that count leap seconds
    (`right/…`) are refused.

    Raises:
        TransformError: no zone of that name is known.
    """
    if name is None or name == "UTC":
        return UTC
    if _ZONE_NAME.fullmatch(name):
        try:
            return _read_zone(name)
        except (ValueError, OSError):
            pass
    raise TransformError("names an unknown time zone; use one such as Europe/Berlin")


@cache
def _read_zone(name: str) -> ZoneInfo:
    with _ZONES.joinpath(*name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def _text(transform: Transform, value: JsonValue) -> str:
    if isinstance(value, dict | list):
        raise TransformError(
            f"{transform.type} can't convert {kind(value)}; map a value inside it,"
            " or put to_string before it"
        )
    return to_string(value)


def _to_number(value: JsonValue) -> JsonValue:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise TransformError(f"to_number can't read {kind(value)}")
    text = value.strip()
    match = _NUMBER.fullmatch(text)
    if match is None or len(text) > MAX_NUMBER_CHARACTERS:
        raise TransformError("to_number can't read this text; use digits such as 12 or -1.5")
    number = float(text)
    if not math.isfinite(number):
        raise TransformError("to_number can't read a number beyond ±1.8e308")
    return number if match[1] or match[2] else int(text)


def _to_boolean(value: JsonValue) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and (known := _BOOLEANS.get(value.strip().lower())) is not None:
        return known
    raise TransformError(
        f"to_boolean can't read this, {kind(value)}; use true/false, yes/no, y/n, on/off or 1/0"
    )


def _to_time(transform: ToTime, value: JsonValue) -> str:
    local = zone(transform.timezone)
    try:
        moment = to_utc(_read_moment(value, local))
        if transform.type == "to_datetime":
            return iso_milliseconds(moment)
        return moment.astimezone(local).date().isoformat()
    except (ValueError, OverflowError):
        raise TransformError(
            f"{transform.type} can't read this, {kind(value)}; use ISO 8601"
            " or Unix time in the years 1 to 9999"
        ) from None


def _read_moment(value: JsonValue, local: tzinfo) -> datetime:
    if isinstance(value, str):
        return read_iso(value.strip(), local)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) < _FIRST_MILLISECONDS:
            return EPOCH + timedelta(seconds=value)
        return EPOCH + timedelta(milliseconds=value)
    raise ValueError("is not a time")
