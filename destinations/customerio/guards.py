"""Stop what Customer.io would answer with 200 and then drop, or would read as a command.

Limits are the vendor's, in UTF-8 bytes: 32 KB for a request, which its own clients read as 32,000
or 32,768, so the smaller applies (Pipelines API reference; customerio/cdp-analytics-go); 150 for
ids and attribute names, 1,000 for an attribute's value, 300 attributes a call, 100 for an event's
name (Track API reference, "Limits").
"""

from __future__ import annotations

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.message import encode_value
from delivery.text import encodes_nul, shown, utf8_size

MAX_BODY = 32_000
MAX_IDENTIFIER = 150
MAX_TRAIT_NAME = 150
MAX_TRAIT_VALUE = 1_000
MAX_TRAITS = 300
MAX_EVENT_NAME = 100

# An id of this form is Customer.io's own id of a person; if it is unknown, the call is dropped.
CIO_ID_PREFIX = "cio_"

# Event names that are commands: they delete or suppress people, change devices, objects and
# relationships instead of recording an event (Pipelines API reference, "Semantic events").
COMMANDS = frozenset(
    name.casefold()
    for name in (
        "Delete Person",
        "Device Created or Updated",
        "Device Deleted",
        "Object Deleted",
        "Relationship Deleted",
        "Report Content Event",
        "Report Delivery Event",
        "User Deleted",
        "User Suppressed",
        "User Unsuppressed",
    )
)


def check_identifier(name: str, text: str) -> None:
    """Check an identifier. It is never cut, since it would be someone else's.

    Raises:
        MappingError: it is too long, starts with `cio_`, or holds NUL.
    """
    if (size := utf8_size(text)) > MAX_IDENTIFIER:
        raise MappingError(
            name, f"is {size:,} bytes long, Customer.io's limit is {MAX_IDENTIFIER}; use another id"
        )
    if text.startswith(CIO_ID_PREFIX):
        raise MappingError(
            name,
            f"starts with {CIO_ID_PREFIX}, which Customer.io reads as its own id of a person and "
            "would drop; map another id",
        )
    if "\0" in text:
        raise MappingError(name, "holds a NUL character; remove it")


def check_event_name(name: str, *, allow_commands: bool) -> None:
    if not name.strip():
        raise MappingError("event_name_override", "is blank; leave it out, or give it a name")
    if (size := utf8_size(name)) > MAX_EVENT_NAME:
        raise MappingError(
            "event name",
            f"is {size:,} bytes long, Customer.io's limit is {MAX_EVENT_NAME}; set a shorter "
            "event_name_override",
        )
    if "\0" in name:
        raise MappingError("event name", "holds a NUL character; remove it")
    if name.strip().casefold() in COMMANDS and not allow_commands:
        raise MappingError(
            "event name",
            f"{name.strip()!r} is a command at Customer.io that changes or deletes data; rename it "
            "with event_name_override, or set allow_commands in the rule's metadata",
        )


def trait_fault(name: str, value: JsonValue) -> str | None:
    """Say why Customer.io would not store this trait; None if it would."""
    if (size := utf8_size(name)) > MAX_TRAIT_NAME:
        return f"has a name of {size:,} bytes, limit {MAX_TRAIT_NAME}; shorten it"
    text = value if isinstance(value, str) else encode_value(value)
    if (size := utf8_size(text)) > MAX_TRAIT_VALUE:
        return f"is {size:,} bytes long, limit {MAX_TRAIT_VALUE:,}; shorten it or leave it out"
    return property_fault(name, value)


def property_fault(name: str, value: JsonValue) -> str | None:
    """Say why Customer.io would not store this property of an event; None if it would."""
    if not name.strip():
        return "has a blank name; give it one"
    text = value if isinstance(value, str) else encode_value(value)
    if "\0" in name or "\0" in text or (text is not value and encodes_nul(text)):
        return "holds a NUL character; remove it"
    return None


def too_many_traits(count: int) -> str:
    return f"are {count:,}, Customer.io accepts {MAX_TRAITS} per call; send fewer keys"


def body_fault(call: str, size: int) -> MappingError:
    return MappingError(
        shown(call),
        f"the request is {size:,} bytes long, Customer.io's limit is {MAX_BODY:,}; "
        "send a smaller payload",
    )
