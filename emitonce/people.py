"""Who an event is about, as far as its payload's own keys say.

The server's rules, mappings included, are in `delivery/people.py`.
"""

from __future__ import annotations

from typing import Any

IDENTIFIERS = ("userId", "email", "anonymousId")
LONGEST_IDENTIFIER = 1_000  # in characters

_EXACT_INTEGERS = 2**53


def identifiers(payload: Any) -> dict[str, str]:
    """Return the identifiers in a payload by their keys."""
    if not isinstance(payload, dict):
        return {}
    found = {name: _text(payload.get(name)) for name in IDENTIFIERS}
    return {name: text for name, text in found.items() if text}


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_INTEGERS:
        value = int(value)
    if type(value) is not int and not isinstance(value, str):
        return ""
    text = str(value).strip()
    return text if len(text) <= LONGEST_IDENTIFIER else ""
