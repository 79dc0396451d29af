"""Read JSON strictly, so that every reader of an event sees the same values.

What JSON readers are known to disagree about is refused: duplicate keys, NaN and infinities,
numbers beyond a double's range, half surrogate pairs, a byte order mark, extreme depth. Everything
else survives any number of round trips through Temporal's payloads unchanged: integers keep all
their digits, and a fraction keeps its shortest decimal form.
"""

from __future__ import annotations

import json
import math
import re
import sys
from itertools import accumulate
from typing import Any

from pydantic import JsonValue

from delivery.errors import InvalidEvent
from delivery.text import kind

MAX_DEPTH = 64
# Longer literals are refused before they are converted: Python's own limit for integers is 4,300
# digits, and it depends on the interpreter's settings.
MAX_NUMBER_CHARACTERS = 1_000
_LARGEST_INTEGER = int(sys.float_info.max)  # about 1.8e308

_FIELD = "input"
_DEEPER = tuple({"[": 1, "{": 1, "]": -1, "}": -1}.get(chr(byte), 0) for byte in range(256))
_NO_BRACKETS = bytes(byte for byte in range(256) if not _DEEPER[byte])
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89abcdefABCDEF]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def parse(data: bytes) -> JsonValue:
    """Read one JSON text.

    Raises:
        InvalidEvent: the text is not JSON in UTF-8, or is JSON that readers disagree about.
    """
    if data.startswith(_BYTE_ORDER_MARK):
        raise _refuse("starts with a byte order mark; send UTF-8 without one")
    _check_depth(data)
    try:
        text = data.decode()
    except UnicodeDecodeError as err:
        raise _refuse(f"is not UTF-8 at byte {err.start}; encode it as UTF-8") from None
    try:
        value: JsonValue = json.loads(
            text,
            parse_int=_read_integer,
            parse_float=_read_fraction,
            parse_constant=_refuse_constant,
            object_pairs_hook=_read_object,
        )
    except json.JSONDecodeError as err:
        raise _refuse(f"is not JSON: {err.msg} at character {err.pos}") from None
    if _SURROGATE_ESCAPE.search(data):
        check(value)
    return value


def check(value: object) -> None:
    """Check a value that was parsed elsewhere by the same rules, as far as it still shows them.

    Raises:
        InvalidEvent: it holds what `parse` would have refused, or what JSON does not have.
    """
    left: list[tuple[object, int]] = [(value, 0)]
    while left:
        item, depth = left.pop()
        if isinstance(item, str):
            _check_text(item)
        elif isinstance(item, dict | list):
            if depth == MAX_DEPTH:
                raise _too_deep()
            if isinstance(item, dict):
                for key in item:
                    if not isinstance(key, str):
                        raise _refuse(f"has {kind(key)} as a key; keys are strings")
                    _check_text(key)
                left.extend((inner, depth + 1) for inner in item.values())
            else:
                left.extend((inner, depth + 1) for inner in item)
        elif isinstance(item, bool) or item is None:
            continue
        elif isinstance(item, int):
            if abs(item) > _LARGEST_INTEGER:
                raise _too_large()
        elif isinstance(item, float):
            if not math.isfinite(item):
                raise _refuse("holds NaN or an infinity, which JSON does not have; send null")
        else:
            raise _refuse(
                f"holds a value of type {type(item).__name__}, which JSON does not have; convert it"
            )


def without_escapes(data: bytes) -> bytes:
    """Remove escapes from a JSON text, so that every quote opens or closes a string."""
    return data.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in data else data


def outside_strings(data: bytes) -> list[bytes]:
    """Return what is before, between and after the strings of a JSON text without escapes."""
    return data.split(b'"')[::2]


def nesting(value: JsonValue) -> int:
    """Count how deep objects and lists are nested: 0 for a plain value, 1 for `{}`."""
    depth = 0
    level = [value] if isinstance(value, dict | list) else []
    while level:
        depth += 1
        level = [
            inner
            for container in level
            for inner in (container.values() if isinstance(container, dict) else container)
            if isinstance(inner, dict | list)
        ]
    return depth


def _check_depth(data: bytes) -> None:
    """Count brackets outside strings, since a parser's recursion limit can't be relied on."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    brackets = b"".join(outside_strings(without_escapes(data))).translate(None, _NO_BRACKETS)
    if max(accumulate(map(_DEEPER.__getitem__, brackets)), default=0) > MAX_DEPTH:
        raise _too_deep()


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refuse("holds half of a surrogate pair, which is not text; repair it") from None


def _read_integer(digits: str) -> int:
    if len(digits) > MAX_NUMBER_CHARACTERS or abs(integer := int(digits)) > _LARGEST_INTEGER:
        raise _too_large()
    return integer


def _read_fraction(digits: str) -> float:
    if len(digits) > MAX_NUMBER_CHARACTERS:
        raise _refuse(
            f"holds a number of {len(digits):,} characters, limit "
            f"{MAX_NUMBER_CHARACTERS:,}; send it as a string"
        )
    if math.isinf(number := float(digits)):
        raise _too_large()
    return number


def _refuse_constant(name: str) -> Any:
    raise _refuse(f"holds {name}, which JSON does not have; send null")


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        raise _refuse("has a key twice in one object; send each key once")
    return read


def _too_deep() -> InvalidEvent:
    return _refuse(f"is nested deeper than {MAX_DEPTH} levels; flatten it")


def _too_large() -> InvalidEvent:
    return _refuse("holds a number beyond ±1.8e308; send it as a string")


def _refuse(reason: str) -> InvalidEvent:
    return InvalidEvent(_FIELD, reason)
