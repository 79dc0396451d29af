"""Collect the properties that a rule has the event carry."""

from __future__ import annotations

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.mapping_schema import MappingSchema, PathSource
from delivery.text import shown
from destinations.customerio.guards import property_fault
from destinations.customerio.metadata import MAPPED_FIELDS, TrackEvent

# These replace a campaign's own sender or recipient, so an event could send anyone's mail
# elsewhere (Track API reference, "track an event").
RESERVED = frozenset({"from_address", "recipient", "reply_to"})

NOT_YET = (
    "track_properties: left out until every worker knows build 3; finish the rollout of this "
    "release"
)


def collect_properties(
    payload: dict[str, JsonValue], mapping: MappingSchema, metadata: TrackEvent
) -> tuple[dict[str, JsonValue], tuple[str, ...]]:
    """Return the properties in the payload's order, and what was left out and why.

    `payload` means all its keys but those that say who the person is, or what the event is called.

    Raises:
        MappingError: a property can't be stored and the rule doesn't say to drop it.
    """
    if metadata.track_properties == "none":
        return {}, ()
    if metadata.track_properties == "payload":
        wanted = frozenset(payload) - _naming_keys(mapping)
    else:
        wanted = frozenset(metadata.track_properties)
    properties: dict[str, JsonValue] = {}
    warnings: list[str] = []
    for key, value in payload.items():
        if key not in wanted or (value is None and not metadata.send_nulls):
            continue
        if key in RESERVED:
            warnings.append(
                f"{key}: left out of the event, since Customer.io reads it as a campaign's sender "
                "or recipient; send it under another name"
            )
        elif (fault := property_fault(key, value)) is None:
            properties[key] = value
        elif metadata.on_limit == "drop":
            warnings.append(f"{shown(key)}: left out of the event, since it {fault}")
        else:
            raise MappingError(f"property {shown(key)}", fault)
    return properties, tuple(warnings)


def _naming_keys(mapping: MappingSchema) -> frozenset[str]:
    """Return the keys that are mapped whole to what names person or event, and the usual ones."""
    return frozenset(MAPPED_FIELDS).union(
        field.source.value
        for field in mapping.fields
        if field.dest in MAPPED_FIELDS and isinstance(field.source, PathSource)
    )
