"""Warn of what Customer.io will read differently than it was meant. It is sent anyway.

Types are those of the vendor's Pipelines API reference (identify, "traits"). Only Segment's
published destination for Customer.io shows that a user id in the form of an e-mail address is read
as one, and events about an installed application as events about a device.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from pydantic import JsonValue

from delivery.text import kind, shown
from delivery.timestamps import read_iso
from destinations.customerio.identity import Identity, is_address

# Names that Customer.io routes to the person's device, which a server does not name.
DEVICE_EVENTS = frozenset(
    name.casefold()
    for name in ("Application Installed", "Application Opened", "Application Uninstalled")
)

_PREFERENCES = "cio_subscription_preferences"
_YES_OR_NO = frozenset(("true", "false", "1", "0"))


def misreadings(identity: Identity, traits: dict[str, JsonValue], event_name: str) -> Iterator[str]:
    """Yield one sentence for each misreading, without values."""
    user_id, email = identity.user_id, identity.email
    if user_id and email and is_address(user_id) and user_id.casefold() != email.casefold():
        yield (
            "userId: is an e-mail address other than email, and Customer.io reads it as the "
            "person's e-mail; map an id that is not an address"
        )
    for name, value in traits.items():
        if value is not None and (expected := _expected(name, value)):
            yield f"{shown(name)}: is {kind(value)}; Customer.io expects {expected}"
    if event_name.strip().casefold() in DEVICE_EVENTS:
        yield (
            f"event name: Customer.io reads {event_name.strip()!r} as an event of a device, and "
            "may drop it, since no device is named; rename it with event_name_override"
        )


def _expected(name: str, value: JsonValue) -> str | None:
    """Return the vendor's type of this trait if `value` has another one."""
    if name == "createdAt" and not _is_moment(value):
        return "an ISO 8601 date and time"
    if name == "unsubscribed" and not _is_yes_or_no(value):
        return "true or false, and reads any other value as false"
    if name == _PREFERENCES and not _are_preferences(value):
        return "an object of topics and channels, each true or false"
    if name.startswith(f"{_PREFERENCES}.") and not isinstance(value, bool):
        return "true or false"
    return None


def _is_moment(value: JsonValue) -> bool:
    try:
        return isinstance(value, str) and read_iso(value.strip(), UTC) is not None
    except ValueError:
        return False


def _is_yes_or_no(value: JsonValue) -> bool:
    """Say whether it is, as documented, a boolean, 0, 1, or text of these in any case."""
    if isinstance(value, str):
        return value.casefold() in _YES_OR_NO
    return isinstance(value, bool) or value in (0, 1)


def _are_preferences(value: JsonValue) -> bool:
    """Say whether it has the documented form, in which an empty choice is the default."""
    return isinstance(value, dict) and all(
        isinstance(group, dict)
        and all(isinstance(choice, bool) or choice in (None, "") for choice in group.values())
        for group in value.values()
    )
