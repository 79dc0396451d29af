"""The person that test events are about, unless their sender chooses someone else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from delivery.mapping import value_at
from delivery.mapping_schema import MappingSchema, PathSource
from delivery.text import holds_email

TEST_PERSON = {
    "userId": "emitonce-test",
    "email": "emitonce-test@example.com",
    "anonymousId": "emitonce-test-visitor",
}

SAMPLE_PAYLOAD: dict[str, Any] = {
    "userId": TEST_PERSON["userId"],
    "email": TEST_PERSON["email"],
    "first_name": "Test",
    "last_name": "Person",
    "plan": "pro",
}


def sample_payload(mapping: MappingSchema) -> dict[str, Any]:
    """Return a payload about the test person, named where the mapping looks."""
    payload = dict(SAMPLE_PAYLOAD)
    for dest, path in _identifiers(mapping):
        if dest != "anonymousId":
            _put(payload, path, TEST_PERSON[dest])
    return payload


def about_test_person(payload: dict[str, Any], mapping: MappingSchema) -> dict[str, Any]:
    """Return a copy of a real payload with the test person in place of its own.

    Identifiers are replaced where they are read, and every text that holds an e-mail address. Names
    and other data stay.
    """
    copy: dict[str, Any] = _without_addresses(payload)
    for dest, path in _identifiers(mapping):
        if isinstance(value_at(path, copy), str | int | float):
            _put(copy, path, TEST_PERSON[dest])
    return copy


def _without_addresses(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_addresses(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_addresses(inner) for inner in value]
    return TEST_PERSON["email"] if isinstance(value, str) and holds_email(value) else value


def is_about_test_person(text: str) -> bool:
    return any(identifier in text for identifier in TEST_PERSON.values())


def _identifiers(mapping: MappingSchema) -> Iterator[tuple[str, str]]:
    """Yield pairs of identifier and path: the payload's own keys, then what the mapping names."""
    yield from ((name, name) for name in TEST_PERSON)
    for field in mapping.fields:
        if field.dest in TEST_PERSON and isinstance(field.source, PathSource):
            yield field.dest, field.source.value


def _put(payload: dict[str, Any], path: str, value: str) -> None:
    """Set the value at a path, and make objects on the way where there is nothing."""
    *way, last = path.split(".")
    inner: Any = payload
    for part in way:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else _item(inner, part)
    if isinstance(inner, dict):
        inner[last] = value
    elif _item(inner, last) is not None:
        inner[int(last)] = value


def _item(value: Any, part: str) -> Any:
    inside = isinstance(value, list) and part.isdecimal() and int(part) < len(value)
    return value[int(part)] if inside else None
