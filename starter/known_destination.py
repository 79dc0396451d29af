"""The destination of a connection, which a newer release may have stored."""

from __future__ import annotations

from catalog.errors import OlderRelease
from destinations.destination import Destination
from destinations.registry import BY_TYPE


def destination_of(type: str) -> Destination:
    """Raises `OlderRelease`."""
    if type not in BY_TYPE:
        raise OlderRelease(
            f"this release has no destination of type {type!r}, only {', '.join(BY_TYPE)}: correct "
            "the type, or upgrade this process to the release that has it"
        )
    return BY_TYPE[type]
