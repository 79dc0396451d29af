"""Which destinations can be used: that of a stored connection, and those of new ones."""

from __future__ import annotations

from catalog import Catalog
from catalog.errors import OlderRelease
from destinations.destination import Destination
from destinations.registry import BY_TYPE


async def offered_destinations(catalog: Catalog) -> list[Destination]:
    """Return the destinations that every running worker can deliver to."""
    fleet = await catalog.workers.fleet()
    return [one for one in BY_TYPE.values() if one.type in fleet.destination_types]


def destination_of(type: str) -> Destination:
    """Return the destination of a connection, which a newer release may have stored.

    Raises:
        OlderRelease: it did, and this release has no such destination.
    """
    if type not in BY_TYPE:
        raise OlderRelease(
            f"this release has no destination of type {type!r}, only {', '.join(BY_TYPE)}: correct "
            "the type, or upgrade this process to the release that has it"
        )
    return BY_TYPE[type]
