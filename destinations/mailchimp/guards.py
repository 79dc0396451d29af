"""Stop what Mailchimp would refuse, before any request.

Sources: the description of the Marketing API (names of events, types of what is sent) and "Merge
Fields". How long values, tags and names of properties may be isn't published, so that is left to
Mailchimp.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.text import kind, shown
from delivery.transforms import to_string
from destinations.pattern import matching
from destinations.payload_keys import chosen, read_keys

SHORTEST_EVENT_NAME, LONGEST_EVENT_NAME = 2, 30

_TAG = re.compile(r"[A-Z0-9_]+")


read_audience = matching(
    r"[0-9A-Za-z]+",
    "must be an audience's id, such as a1b2c3d4e5; Mailchimp shows it in the audience's settings",
)


def read_event_name(text: str) -> str:
    text = text.strip()
    if not SHORTEST_EVENT_NAME <= len(text) <= LONGEST_EVENT_NAME:
        raise ValueError(
            f"has {len(text):,} characters; Mailchimp's names of events have "
            f"{SHORTEST_EVENT_NAME} to {LONGEST_EVENT_NAME}"
        )
    return text


def read_event_properties(text: str) -> str:
    return ", ".join(read_keys(text))


def check_ip(value: JsonValue) -> str:
    """Raises `MappingError` for anything but an IP address."""
    try:
        return str(ip_address(value.strip() if isinstance(value, str) else ""))
    except ValueError:
        raise MappingError("ip_signup", "is not an IP address; map another field") from None


def merge_fields(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a contact's merge fields as Mailchimp takes them: text, numbers, and addresses.

    Raises:
        MappingError: a tag or a value is not one.
    """
    for name in values:
        if not _TAG.fullmatch(name):
            raise MappingError(
                shown(name),
                "is not the tag of a merge field: upper-case letters, digits and underscores, such "
                "as FNAME; map it to one that is",
            )
    return {name: _merge_value(name, value) for name, value in values.items()}


def _merge_value(name: str, value: JsonValue) -> JsonValue:
    if isinstance(value, dict) and not any(isinstance(one, dict | list) for one in value.values()):
        # An address: addr1, city, state, zip, country.
        return {key: _text(name, one) for key, one in value.items() if one is not None}
    if isinstance(value, dict | list):
        raise MappingError(
            shown(name), f"is {kind(value)}; merge fields hold text, a number or one address"
        )
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number else _text(name, value)


def event_properties(names: str, payload: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the payload's values of these keys as text; absent ones are left out.

    Raises:
        MappingError: a value is an object or a list.
    """
    found = chosen(names, payload)
    for name, value in found.items():
        if isinstance(value, dict | list):
            raise MappingError(
                shown(name), f"is {kind(value)}; properties of Mailchimp's events are text"
            )
    return {name: _text(name, value) for name, value in found.items()}


def _text(name: str, value: JsonValue) -> str:
    text = to_string(value)
    if "\0" in text:
        raise MappingError(shown(name), "holds a NUL character; remove it")
    return text
