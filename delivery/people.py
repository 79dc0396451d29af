"""The identifiers of the people an event is about, by which it can be found."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.frozen_model import JsonObject
from delivery.mapping import map_fields
from delivery.rule import MatchedRule
from delivery.transforms import to_string

# The feature by which a fleet starts to record them, see `capabilities`.
PEOPLE = "people"

IDENTIFIERS = ("userId", "email", "anonymousId")
# A search attribute has at most 2,048 bytes, and each hash needs 35.
MOST_IDENTIFIERS = 50
LONGEST_IDENTIFIER = 1_000  # in characters; no destination accepts as many

_EXACT_INTEGERS = 2**53


def identifiers(
    payload: JsonObject, rules: Iterable[MatchedRule] = ()
) -> tuple[tuple[str, str], ...]:
    """Return pairs of field and identifier: the payload's own keys, then what mappings name.

    `emitonce/people.py` reads the first ones likewise, since starters know no mappings.
    """
    found: list[tuple[str, JsonValue]] = [(name, payload.get(name)) for name in IDENTIFIERS]
    mappings = {rule.connection: rule.mapping for rule in rules if rule.mapping is not None}
    for mapping in mappings.values():
        for mapped in mapping.fields:
            if mapped.dest in IDENTIFIERS:
                with suppress(MappingError):
                    alone = mapping.model_copy(update={"fields": (mapped,)})
                    found += map_fields(alone, payload).values.items()
    pairs = dict.fromkeys((name, _text(value)) for name, value in found)
    return tuple((name, text) for name, text in pairs if text)[:MOST_IDENTIFIERS]


def _text(value: JsonValue) -> str:
    """Return an identifier without white space around it, "" for what can't identify."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_INTEGERS
    if not whole and type(value) not in (str, int):
        return ""
    text = to_string(value).strip()
    return text if len(text) <= LONGEST_IDENTIFIER else ""
