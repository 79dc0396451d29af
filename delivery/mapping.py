"""Apply a mapping to a payload: destination fields with their values, and warnings."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.mapping_schema import LiteralSource, MappedField, MappingSchema
from delivery.text import shown
from delivery.transforms import TransformError, apply

# All characters that go into and come out of one mapping's transforms. Without a limit, 250 fields
# with ten transforms each could keep a large event's workflow task busy for longer than Temporal
# waits.
MAX_TRANSFORMED = 4_000_000


@dataclass(frozen=True)
class Mapped:
    """A mapped payload: `values` by destination field, without those that have no value.

    `consumed` are the payload's top-level keys that were mapped whole, so they don't become traits
    as well.
    """

    values: dict[str, JsonValue] = field(default_factory=dict)
    consumed: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


def map_fields(schema: MappingSchema, payload: dict[str, JsonValue]) -> Mapped:
    """Apply every field in order; of several for one destination, the first with a value wins.

    A path that leads nowhere gives null and is not an error: `on_error` is for transforms that
    can't convert their value.

    Raises:
        MappingError: a field marked `fail_action` could not be mapped, or the transforms have
            to handle more text than `MAX_TRANSFORMED`.
    """
    left = MAX_TRANSFORMED
    values: dict[str, JsonValue] = {}
    warnings: list[str] = []
    for mapped in schema.fields:
        try:
            value = _source_of(mapped, payload)
            for transform in mapped.transforms:
                left -= _length(value)
                value = apply(transform, value)
                left -= _length(value)
                if left < 0:
                    raise MappingError(
                        shown(mapped.dest),
                        f"the mapping's transforms have more than {MAX_TRANSFORMED:,} characters "
                        "to handle; map smaller values, or shorten them with substring first",
                    )
        except TransformError as err:
            if mapped.on_error == "fail_action":
                raise MappingError(shown(mapped.dest), str(err)) from None
            if mapped.on_error == "warn_action":
                warnings.append(f"{shown(mapped.dest)}: left out, since {err}")
            continue
        if values.get(mapped.dest) is None:
            values[mapped.dest] = value
    return Mapped(
        values={name: value for name, value in values.items() if value is not None},
        consumed=frozenset(
            mapped.source.value
            for mapped in schema.fields
            if not isinstance(mapped.source, LiteralSource) and "." not in mapped.source.value
        ),
        warnings=tuple(warnings),
    )


def _source_of(mapped: MappedField, payload: dict[str, JsonValue]) -> JsonValue:
    if isinstance(mapped.source, LiteralSource):
        return mapped.source.value
    return value_at(mapped.source.value, payload)


def _length(value: JsonValue) -> int:
    return len(value) if isinstance(value, str) else 0


def value_at(path: str, payload: dict[str, JsonValue]) -> JsonValue:
    """Follow a dotted path through objects; a number in it is an index into a list.

    Returns None where it leads nowhere.
    """
    value: JsonValue = payload
    for part in path.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
