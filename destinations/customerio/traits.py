"""Collect the person's traits: every payload key that nothing else uses, and the email."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.mapping import Mapped
from delivery.message import encode_value
from delivery.text import shown, utf8_size
from delivery.transforms import is_blank
from destinations.customerio.guards import MAX_TRAITS, too_many_traits, trait_fault
from destinations.customerio.identity import NOT_AN_ADDRESS, Identity, is_address
from destinations.customerio.metadata import MAPPED_FIELDS, TrackEvent

# These have a special meaning at Customer.io: as traits they would name another person, prevent
# that one is created, or relate the person to an object (Track API reference; reserved attributes).
# They are common in product payloads, where they mean something else.
RESERVED = frozenset(
    {
        "id",
        "cio_id",
        "anonymous_id",
        "_update",
        "_timestamp",
        "_created_in_customerio_at",
        "objectId",
        "objectTypeId",
        "object_type_id",
        "relationshipAttributes",
    }
)

# Never traits, mapped or not: they identify the person, or name the event.
_NOT_TRAITS = frozenset(MAPPED_FIELDS) - {"email"}


def collect_traits(
    payload: dict[str, JsonValue],
    mapped: Mapped,
    identity: Identity,
    metadata: TrackEvent,
    *,
    checked: bool,
) -> tuple[dict[str, JsonValue], tuple[str, ...]]:
    """Return the traits in the payload's order, then mapped ones, and what was left out and why.

    If `checked`, an `email` that no mapping has read is a trait only if it is an address.

    Raises:
        MappingError: a trait breaks a limit and the rule doesn't say to drop it.
    """
    named = {k: v for k, v in mapped.values.items() if k not in MAPPED_FIELDS}
    traits: dict[str, JsonValue] = {}
    warnings: list[str] = []
    if identity.email is not None:
        traits["email"] = identity.email
    for key, value in payload.items():
        if key in _NOT_TRAITS or key in mapped.consumed or key in traits or key in named:
            continue
        if key == "email" and checked and value is not None:
            if isinstance(value, str) and is_address(value):
                traits[key] = value.strip()
            elif not is_blank(value) and NOT_AN_ADDRESS not in identity.warnings:
                warnings.append(NOT_AN_ADDRESS)
        elif key in RESERVED:
            warnings.append(
                f"{key}: left out, since Customer.io reads it as a command about the person; "
                "map it to send it anyway"
            )
        elif value is not None or metadata.send_nulls:
            traits[key] = value
    traits |= named
    return _within_limits(traits, warnings, drop=metadata.on_limit == "drop")


def _within_limits(
    traits: dict[str, JsonValue], warnings: list[str], *, drop: bool
) -> tuple[dict[str, JsonValue], tuple[str, ...]]:
    kept: dict[str, JsonValue] = {}
    for name, value in traits.items():
        fault = trait_fault(name, value)
        if fault is None:
            kept[name] = value
        elif drop:
            warnings.append(f"{shown(name)}: left out, since it {fault}")
        else:
            raise MappingError(f"trait {shown(name)}", fault)
    if len(kept) > MAX_TRAITS:
        if not drop:
            raise MappingError("traits", too_many_traits(len(kept)))
        warnings.append(f"traits {too_many_traits(len(kept))}; the last ones were left out")
        kept = dict(list(kept.items())[:MAX_TRAITS])
    return kept, tuple(warnings)


def without_largest(
    traits: dict[str, JsonValue], excess: int, keep: Collection[str]
) -> tuple[dict[str, JsonValue], tuple[str, ...]]:
    """Leave out the largest traits until `excess` bytes are saved; of equals, the later first."""
    # In bytes of the body: name, value, colon and comma.
    sizes = {
        name: utf8_size(encode_value(name)) + utf8_size(encode_value(value)) + 2
        for name, value in traits.items()
    }
    order = {name: place for place, name in enumerate(traits)}
    largest = sorted((n for n in traits if n not in keep), key=lambda n: (-sizes[n], -order[n]))
    dropped: set[str] = set()
    for name in largest:
        if excess <= 0:
            break
        dropped.add(name)
        excess -= sizes[name]
    kept = {name: value for name, value in traits.items() if name not in dropped}
    return kept, tuple(
        f"{shown(name)}: left out, since the request would be too large" for name in sorted(dropped)
    )
