"""Stop what Resend would refuse, before any request is made.

Sources: "Send email" for variables (50 a template, keys, reserved names) and the header
`Idempotency-Key`; the vendor's API description for properties, events and tags.
"""

from __future__ import annotations

import re

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.text import kind, shown
from delivery.transforms import is_blank, to_string
from destinations.email_address import MAX_EMAIL
from destinations.pattern import matching

LONGEST_FROM = 320  # characters, a name included
LONGEST_SUBJECT = 998  # characters (RFC 5322)
LONGEST_KEY = 50  # characters, of a property or a variable
MOST_VARIABLES = 50

# The vendor fills these itself.
RESERVED_VARIABLES = frozenset(
    {"FIRST_NAME", "LAST_NAME", "EMAIL", "UNSUBSCRIBE_URL", "contact", "this"}
)
RESERVED_EVENTS = "resend:"

# One address: the characters with which a second one, or a name, would start are not in it.
_ADDRESS = re.compile(r"[^\s@<>(),;:\"\\\x00-\x1f\x7f]+@[^\s@<>(),;:\"\\\x00-\x1f\x7f]+")
_SENDER = re.compile(rf"(?:[^<>\x00-\x1f\x7f]*<({_ADDRESS.pattern})>|({_ADDRESS.pattern}))")
_KEY = re.compile(r"[A-Za-z0-9_]+")

# An id of Resend's becomes part of an address.
read_id = matching(
    r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}",
    "must be an id: letters, digits, - and _; choose or copy it again",
)


def read_sender(text: str) -> str:
    text = text.strip()
    if len(text) > LONGEST_FROM or not _SENDER.fullmatch(text):
        raise ValueError("must be an address, or a name and an address: Team <team@example.com>")
    return text


def read_subject(text: str) -> str:
    text = text.strip()
    if len(text) > LONGEST_SUBJECT or not text.isprintable():
        raise ValueError(f"must be one line of at most {LONGEST_SUBJECT} characters")
    return text


def read_event_name(text: str) -> str:
    if text.strip().startswith(RESERVED_EVENTS):
        raise ValueError(f"starts with {RESERVED_EVENTS}, which Resend keeps for itself")
    return text


def address(values: dict[str, JsonValue]) -> str:
    """Return the person's e-mail address, by which Resend knows people.

    Raises:
        MappingError: there is none, or it isn't one.
    """
    value = values.get("email")
    if value is None or is_blank(value):
        raise MappingError("email", "is missing; Resend knows people by it: map it")
    if not isinstance(value, str) or not _ADDRESS.fullmatch(text := value.strip()):
        raise MappingError("email", "is not an e-mail address; map the field that holds one")
    if len(text) > MAX_EMAIL:
        raise MappingError(
            "email", f"has {len(text):,} characters, an address has at most {MAX_EMAIL}"
        )
    return text


def name(key: str, value: JsonValue) -> str:
    if isinstance(value, bool | dict | list):
        raise MappingError(key, f"is {kind(value)}; a name is a string")
    return to_string(value)


def check_property(key: str, value: JsonValue) -> None:
    _check_key(key, "a contact property's name")
    _check_value(key, value)


def check_variables(variables: dict[str, JsonValue]) -> None:
    if len(variables) > MOST_VARIABLES:
        raise MappingError(
            "template_variables",
            f"are {len(variables):,}, Resend's limit is {MOST_VARIABLES}; map fewer",
        )
    for key, value in variables.items():
        where = f"template_variables.{key}"
        _check_key(where, "a variable's name", key)
        if key in RESERVED_VARIABLES:
            raise MappingError(where, "is a name that Resend fills itself; use another one")
        _check_value(where, value)


def _check_key(where: str, what: str, key: str | None = None) -> None:
    key = where if key is None else key
    if len(key) > LONGEST_KEY or not _KEY.fullmatch(key):
        raise MappingError(
            shown(where),
            f"can't be {what} at Resend: it has at most {LONGEST_KEY} letters, digits and _",
        )


def _check_value(where: str, value: JsonValue) -> None:
    if isinstance(value, bool | dict | list):
        raise MappingError(
            shown(where), f"is {kind(value)}; Resend accepts a string or a number: convert it"
        )
