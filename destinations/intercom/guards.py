"""Stop what Intercom would refuse or ignore, before any request.

Sources: the description of the API (ten keys of metadata an event, its kinds of values) and "Send
custom user attributes to Intercom" (names, kinds of values, 255 characters). For the length of an
external id, a name, a phone number, an event's name and its values no limit was found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.text import kind, shown
from delivery.transforms import is_blank, to_string
from destinations.email_address import MAX_EMAIL
from destinations.pattern import matching
from destinations.payload_keys import chosen, read_keys

MAX_ATTRIBUTE = 255  # characters
MAX_ATTRIBUTES = 250  # of a workspace, so of a contact too
MAX_METADATA = 10  # keys; Intercom ignores further ones
# Values of metadata that are objects: a link with a text, and an amount of money.
OBJECTS = (frozenset({"url", "value"}), frozenset({"amount", "currency"}))

_ADDRESS = re.compile(r"[^\s@\0]+@[^\s@\0]+")

read_tag = matching(
    r"[A-Za-z0-9_-]{1,64}", "must be a tag's id, such as 7522907; choose the tag or copy its id"
)


def read_event_name(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character; remove it")
    return text


def read_metadata_keys(text: str) -> str:
    names = read_keys(text)
    if len(names) > MAX_METADATA:
        raise ValueError(f"names {len(names)} keys; Intercom keeps {MAX_METADATA} of an event")
    return ", ".join(names)


def external_id_of(value: JsonValue) -> str | None:
    """Return the customer's own id; None if there is none. Raises `MappingError`."""
    text = text_of("external_id", value)
    return text.strip() if text else None


def email_of(value: JsonValue) -> str | None:
    """Return the e-mail address; None if there is none.

    Raises:
        MappingError: it is not an address.
    """
    text = (text_of("email", value) or "").strip()
    if not text:
        return None
    if len(text) > MAX_EMAIL:
        raise MappingError("email", f"has {len(text):,} characters, at most {MAX_EMAIL} are valid")
    if not _ADDRESS.fullmatch(text):
        raise MappingError("email", "is not an e-mail address; map the field that holds it")
    return text


def text_of(name: str, value: JsonValue) -> str | None:
    """Return an id, a name or a phone number; None for blank text. Raises `MappingError`."""
    if value is None or is_blank(value):
        return None
    if isinstance(value, bool | dict | list):
        raise MappingError(name, f"is {kind(value)}; it must be text or a number")
    text = to_string(value)
    if "\0" in text:
        raise MappingError(name, "holds a NUL character; remove it")
    return text


def attributes_of(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a contact's custom attributes.

    Raises:
        MappingError: a name or a value can't be one.
    """
    if len(values) > MAX_ATTRIBUTES:
        raise MappingError(
            "custom_attributes",
            f"are {len(values)}, an Intercom workspace has at most {MAX_ATTRIBUTES}; map fewer",
        )
    for name, value in values.items():
        if not name.strip() or any(mark in name for mark in ".$\0"):
            raise MappingError(
                shown(name), "can't be the name of an Intercom attribute: it has no . and no $"
            )
        if value is not None and not isinstance(value, str | bool | int | float):
            raise MappingError(
                shown(name), f"is {kind(value)}; Intercom's attributes hold text, numbers or yes/no"
            )
        if isinstance(value, str) and len(value) > MAX_ATTRIBUTE:
            raise MappingError(
                shown(name),
                f"has {len(value):,} characters, Intercom's limit is {MAX_ATTRIBUTE}; shorten it",
            )
        if isinstance(value, str) and "\0" in value:
            raise MappingError(shown(name), "holds a NUL character; remove it")
    return {name: value for name, value in values.items() if value is not None}


def event_metadata(names: str, payload: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the payload's values of these keys; absent ones are left out.

    Raises:
        MappingError: a value is nested in a way that Intercom does not keep.
    """
    return {name: _metadata(name, value) for name, value in chosen(names, payload).items()}


def _metadata(name: str, value: JsonValue) -> JsonValue:
    if isinstance(value, bool):
        return to_string(value)
    if isinstance(value, dict) and value.keys() in OBJECTS:
        value = {key: _metadata(f"{name}.{key}", one) for key, one in value.items()}
    elif not isinstance(value, str | int | float):
        raise MappingError(
            shown(name),
            f"is {kind(value)}; Intercom keeps text, numbers, a link (url, value) or an amount "
            "(amount, currency) of an event",
        )
    return value
