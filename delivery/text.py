"""Text for people: how names and kinds of values appear in errors, warnings and lists.

Values are personal data and are never shown. Names are shown, since whoever fixes the event or the
mapping has to find them, but they are shortened and never contain an e-mail address.
"""

from __future__ import annotations

import re

SHOWN_CHARACTERS = 60

# NUL as encoded JSON has it; where the backslash is itself escaped, the same letters are just text.
_ENCODED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Anchored at the @, so that searching a long text without an address takes linear time.
_EMAIL = re.compile(r"[^\s@]@[^\s@]*\.[^\s@]")


def shown(name: str) -> str:
    """Make `name` presentable: at most 60 characters, one line, no e-mail address."""
    if holds_email(name):
        return "[a name that holds an e-mail address]"
    name = name[: SHOWN_CHARACTERS + 1]
    if len(name) > SHOWN_CHARACTERS:
        name = name[: SHOWN_CHARACTERS - 1] + "…"
    return CONTROL_CHARACTERS.sub("�", name)


def holds_email(text: str) -> bool:
    """Say whether `text` contains what looks like an e-mail address."""
    return "@" in text and _EMAIL.search(text) is not None


def encodes_nul(text: str) -> bool:
    """Say whether the JSON in `text` holds a NUL character."""
    return "\\u0000" in text and _ENCODED_NUL.search(text) is not None


def kind(value: object) -> str:
    """Name the JSON kind of a value, with its article: `a list`, `null`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "a value that JSON doesn't have"


def utf8_size(text: str) -> int:
    """Return the length in UTF-8 bytes, the unit of most limits here and at vendors."""
    return len(text.encode())
