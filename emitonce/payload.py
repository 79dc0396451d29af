"""What a payload may hold, and how values that JSON doesn't know are written.

A fault is named by its key's path, never by its value, which may be personal data.
"""

from __future__ import annotations

import math
import re
import sys
import uuid
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any

from emitonce.errors import InvalidEvent

# As the server reads it: `delivery/event.py` and `delivery/strict_json.py` have the reasons.
MAX_DEPTH = 56
_LARGEST_INTEGER = int(sys.float_info.max)

_SHOWN_KEY = 40
_SHOWN_PATH = 160
_UNFIT_FOR_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class _Unfit(Exception):
    """A value that can't be sent. `path` holds keys and indexes, the innermost first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.path: list[object] = []


def json_object(payload: Mapping[str, Any]) -> dict[str, Any]:
    """`payload` as JSON has it: dates and times in ISO 8601, UUIDs and decimals as text, enums as
    their values. What JSON knows stays as it is.

    Raises:
        InvalidEvent: it holds what JSON doesn't know, or what the server would not accept.
    """
    if not isinstance(payload, Mapping):
        raise InvalidEvent(f"payload: must be a mapping, not {type(payload).__name__}")
    try:
        return _object(payload, 1)
    except _Unfit as err:
        raise InvalidEvent(f"{_shown_path(err.path)}: {err}") from None


def _value(value: object, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        _check_text(value)
        return value
    if isinstance(value, int):
        if abs(value) > _LARGEST_INTEGER:
            raise _Unfit("is a number beyond ±1.8e308; send it as text")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _Unfit("is NaN or an infinity, which is not JSON; send null")
        return value
    if isinstance(value, dict):
        return _object(value, depth + 1)
    if isinstance(value, list | tuple):
        return _list(value, depth + 1)
    return _written(value, depth)


def _written(value: object, depth: int) -> Any:
    """A value that JSON has no form of its own for."""
    if isinstance(value, Enum):
        return _value(value.value, depth)
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise _Unfit("is NaN or an infinity, which is not JSON; send null")
        return str(value)
    raise _Unfit(f"is of type {type(value).__name__}, which is not JSON; convert it first")


def _object(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    _check_depth(depth)
    written: dict[str, Any] = {}
    for key, inner in value.items():
        try:
            name = _key(key)
            if name in written:
                raise _Unfit("stands twice in one object; send each key once")
            written[name] = _value(inner, depth)
        except _Unfit as err:
            err.path.append(key)
            raise
    return written


def _list(value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
    _check_depth(depth)
    written = []
    for index, inner in enumerate(value):
        try:
            written.append(_value(inner, depth))
        except _Unfit as err:
            err.path.append(index)
            raise
    return written


def _key(key: object) -> str:
    """Numbers, truth values and None become what `json.dumps` makes of them."""
    if isinstance(key, str):
        _check_text(key)
        return str.__str__(key)  # an enum's hash is not that of its text
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float) and math.isfinite(key):
        return float.__repr__(key)
    raise _Unfit(f"has a key of type {type(key).__name__}; keys are strings")


def _check_text(text: str) -> None:
    if "\0" in text:
        raise _Unfit("holds a NUL character; remove it")
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Unfit("holds half of a surrogate pair, which is not text; repair it") from None


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        # Without its path, which would be as long.
        raise InvalidEvent(f"payload: is nested deeper than {MAX_DEPTH} levels; flatten it")


def _shown_path(path: list[object]) -> str:
    shown = "payload"
    for part in reversed(path):
        shown += f"[{part}]" if type(part) is int else f".{_shown_key(part)}"
    if len(shown) > _SHOWN_PATH:
        shown = f"{shown[: _SHOWN_PATH // 2]}…{shown[-_SHOWN_PATH // 2 :]}"
    return shown


def _shown_key(key: object) -> str:
    text = key if isinstance(key, str) else type(key).__name__
    if "@" in text:
        return "(a key that holds an @)"
    text = f"{text[: _SHOWN_KEY - 1]}…" if len(text) > _SHOWN_KEY else text
    return _UNFIT_FOR_A_LINE.sub("�", text)
