"""Where an event came from, as its start input says; without a word it is a backend's.

What is written there can only narrow: who may start workflows may do all that a backend may.
"""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.identity import Identity, is_address
from delivery.values import Value

# Known to workers that heed an event's source, see `delivery.capabilities`.
EVENT_SOURCE = "event_source"

# Traits by which Customer.io finds a person; a mapping may make them, a payload can't.
_NAMING = frozenset({"id", "cio_id", "anonymous_id"})


class Source(Value):
    """A publishable key: public, so anybody may have sent the event.

    With `identify` of `anonymous` the event may name no person, neither by id nor by e-mail.
    """

    kind: Literal["publishable"] = "publishable"
    key: str | None = None
    identify: Literal["any", "anonymous"] = "any"


def read_source(value: JsonValue) -> Source | None:
    """Read the field; anything that speaks of no publishable key is a field of the sender's own.

    An `identify` that only a newer release knows is read as the narrowest.
    """
    if not isinstance(value, dict) or value.get("kind") != "publishable":
        return None
    key = value.get("key")
    return Source(
        key=key if isinstance(key, str) else None,
        identify="any" if value.get("identify", "any") == "any" else "anonymous",
    )


def check_anonymous(identity: Identity, traits: dict[str, JsonValue]) -> None:
    """Make sure that nothing of a message names a person.

    Raises:
        MappingError: something does.
    """
    if identity.user_id is not None:
        raise _names_a_person("userId" if identity.email is None else "userId or email")
    if identity.anonymous_id is not None and is_address(identity.anonymous_id):
        raise _names_a_person("anonymousId")
    for name in traits:
        if name in _NAMING or name.strip().lower() == "email":
            raise _names_a_person(f"trait {name.strip()}")


def _names_a_person(field: str) -> MappingError:
    return MappingError(
        field,
        "names a person, but the key that the event came with is for anonymous visitors only; "
        "emit events about known people from a backend",
    )
