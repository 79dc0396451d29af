"""Keys of the payload that a rule names for a part of a message, such as an event's properties."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue


def read_keys(text: str) -> tuple[str, ...]:
    """Read the keys of a list separated by commas, each once, exactly as they are written."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def chosen(names: str, payload: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the values of the keys in a stored text; those that are absent are left out."""
    return {name: payload[name] for name in names.split(", ") if payload.get(name) is not None}
