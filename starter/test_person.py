"""The person whom test events are about, unless whoever sends them chooses somebody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from delivery.mapping import value_at
from delivery.mapping_schema import MappingSchema, PathSource

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
    """Return a payload about the test person, whom it names where the mapping looks."""
    payload = dict(SAMPLE_PAYLOAD)
    for dest, path in _identifiers(mapping):
        if dest != "anonymousId":
            _put(payload, path, TEST_PERSON[dest])
    return payload


def about_test_person(payload: dict[str, Any], mapping: MappingSchema) -> dict[str, Any]:
    """Return a copy of a real payload with the test person in place of its own.

    Identifiers are replaced where they are read, and the person's e-mail address wherever a text
    consists of it. Names and other data stay.
    """
    found = [
        (path, value, TEST_PERSON[dest])
        for dest, path in _identifiers(mapping)
        if (value := value_at(path, payload)) not in (None, "")
    ]
    text = json.dumps(payload)
    for _, value, test in found:
        if isinstance(value, str) and "@" in value:
            text = text.replace(json.dumps(value), json.dumps(test))
    copy: dict[str, Any] = json.loads(text)
    for path, _, test in found:
        _put(copy, path, test)
    return copy


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
