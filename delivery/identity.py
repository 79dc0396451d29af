"""Whom an event is about: userId, else email, else anonymousId, else one made up for it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.guards import check_identifier
from delivery.labels import kind
from delivery.transforms import is_blank, to_string

IDENTIFIERS = ("userId", "email", "anonymousId")


@dataclass(frozen=True)
class Identity:
    """What stands for the person in both calls; at least one of the two ids is set.

    Without a `user_id` the person is anonymous: Customer.io keeps the event and ignores traits.
    """

    user_id: str | None
    anonymous_id: str | None
    email: str | None = None

    @property
    def fields(self) -> dict[str, JsonValue]:
        """The identifying fields of a request, those that are set."""
        named = {"userId": self.user_id, "anonymousId": self.anonymous_id}
        return {name: value for name, value in named.items() if value is not None}


def resolve_identity(values: dict[str, JsonValue], *, event_id: str, rule_id: str) -> Identity:
    """Resolve from mapped values.

    Person id and anonymous id are both kept when both are there: that is what merges a visitor's
    history into the person. The generated id is the same on every attempt, replay and redelivery.

    Raises:
        MappingError: an identifier is of a kind that can't identify, too long, or one that
            Customer.io would misread.
    """
    found = {name: _read(name, values.get(name)) for name in IDENTIFIERS}
    user_id = found["userId"] or found["email"]
    anonymous_id = found["anonymousId"]
    if user_id is None and anonymous_id is None:
        anonymous_id = str(uuid.uuid5(uuid.UUID(event_id), rule_id))
    return Identity(user_id=user_id, anonymous_id=anonymous_id, email=found["email"])


def _read(name: str, value: JsonValue) -> str | None:
    if value is None or is_blank(value):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise MappingError(name, f"is {kind(value)}; an identifier is a string or a number")
    text = to_string(value)
    check_identifier(name, text)
    return text
