"""Stop what HubSpot would refuse, before any request.

Sources: "Properties" (internal names, size of values), and the changelog of September 2021 about
custom events (names and number of their properties). For the values of events two limits were
published, at different times, so those are left to HubSpot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.text import shown
from delivery.transforms import to_string
from destinations.pattern import matching
from destinations.payload_keys import chosen, read_keys

MAX_PROPERTIES = 1_000  # of an account, so of a contact too
MAX_VALUE = 65_536  # characters
MAX_EVENT_PROPERTIES = 50

_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_EVENT_PROPERTY = re.compile(r"[a-z][a-z0-9_]{0,49}")

read_list = matching(
    r"[0-9]{1,18}", "must be a list's id, a number such as 5; HubSpot shows it in the details"
)
read_event = matching(
    r"pe[0-9]{1,12}_[a-z][a-z0-9_-]{0,99}",
    "must be an event's internal name, such as pe1234567_signed_up; define the event in HubSpot "
    "first, which then shows it",
)


def read_property(text: str) -> str:
    text = text.strip()
    if not _NAME.fullmatch(text):
        raise ValueError("must be a property's internal name, such as lifecycle_stage")
    if text == "email":
        raise ValueError("must not be email, which identifies the contact")
    return text


def read_value(text: str) -> str:
    if len(text) > MAX_VALUE or "\0" in text:
        raise ValueError(f"must have at most {MAX_VALUE:,} characters, and no NUL")
    return text


def read_event_properties(text: str) -> str:
    names = read_keys(text)
    if len(names) > MAX_EVENT_PROPERTIES:
        raise ValueError(f"names {len(names)} keys; HubSpot accepts {MAX_EVENT_PROPERTIES}")
    if wrong := next((name for name in names if not _EVENT_PROPERTY.fullmatch(name)), None):
        raise ValueError(
            f"names {shown(wrong)}, which HubSpot can't have as a property: lower-case letters, "
            "digits and underscores, a letter first, at most 50"
        )
    return ", ".join(names)


def contact_properties(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a contact's properties as HubSpot takes them: strings.

    Raises:
        MappingError: a name or a value is not one.
    """
    if len(values) > MAX_PROPERTIES:
        raise MappingError(
            "properties", f"are {len(values):,}, HubSpot has at most {MAX_PROPERTIES:,}; map fewer"
        )
    for name in values:
        if not _NAME.fullmatch(name):
            raise MappingError(
                shown(name),
                "is not the internal name of a HubSpot property: lower-case letters, digits and "
                "underscores, a letter first; map it to one that is",
            )
    return {name: _text(name, value) for name, value in values.items()}


def event_properties(names: str, payload: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the payload's values of these keys; absent ones are left out.

    Raises:
        MappingError: a value is too long, or can't be one.
    """
    return {name: _text(name, value) for name, value in chosen(names, payload).items()}


def _text(name: str, value: JsonValue) -> str:
    """Write a value as a string; of a list, as HubSpot writes several choices: `a;b`."""
    parts = value if isinstance(value, list) else [value]
    if any(isinstance(part, dict | list) for part in parts):
        told = "an object" if isinstance(value, dict) else "a list of objects or lists"
        raise MappingError(shown(name), f"is {told}; HubSpot's properties hold text or numbers")
    text = ";".join(to_string(part) for part in parts if part is not None)
    if len(text) > MAX_VALUE:
        raise MappingError(
            shown(name),
            f"has {len(text):,} characters, HubSpot's limit is {MAX_VALUE:,}; shorten it",
        )
    if "\0" in text:
        raise MappingError(shown(name), "holds a NUL character; remove it")
    return text
