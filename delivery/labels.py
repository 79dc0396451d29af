"""How names and kinds of values are told to a person, in errors, warnings and lists.

Values themselves are never shown: they are personal data. Names are, since whoever mends the event
or the mapping has to find them, but shortened and without e-mail addresses.
"""

from __future__ import annotations

import re

SHOWN_CHARACTERS = 60

CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Anchored at the @ so that a long text without an address is searched in linear time.
_EMAIL = re.compile(r"[^\s@]@[^\s@]*\.[^\s@]")


def shown(name: str) -> str:
    """`name` fit to be shown: at most 60 characters, one line, no e-mail address."""
    if holds_email(name):
        return "[a name that holds an e-mail address]"
    name = name[: SHOWN_CHARACTERS + 1]
    if len(name) > SHOWN_CHARACTERS:
        name = name[: SHOWN_CHARACTERS - 1] + "…"
    return CONTROL_CHARACTERS.sub("�", name)


def holds_email(text: str) -> bool:
    """Whether `text` holds what looks like an e-mail address."""
    return "@" in text and _EMAIL.search(text) is not None


def kind(value: object) -> str:
    """The JSON kind of a value, with its article: `a list`, `null`."""
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
    return "no JSON"


def utf8_size(text: str) -> int:
    """Length in UTF-8 bytes, the unit of all of Customer.io's limits."""
    return len(text.encode())
