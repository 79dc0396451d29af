"""The event's name at a vendor."""

from __future__ import annotations

from delivery.event import Event
from delivery.transforms import is_blank


def name_of(event: Event, override: str | None) -> str:
    """Return the rule's override, or else the event's own name."""
    return event.event if override is None or is_blank(override) else override.strip()
