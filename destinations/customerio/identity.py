"""Find who an event is about: userId, else email, else anonymousId, else a generated id."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.text import kind
from delivery.transforms import is_blank, to_string
from destinations.anonymous import names_a_person
from destinations.customerio.guards import check_identifier

IDENTIFIERS = ("userId", "email", "anonymousId")

# What a vendor would read as an e-mail address; only sending to it shows whether it is one.
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")

# Traits by which Customer.io finds a person; a mapping can make them, a payload can't.
_NAMING = frozenset({"id", "cio_id", "anonymous_id"})

NOT_AN_ADDRESS = (
    "email: left out, since it is not an e-mail address; map the field that holds the address"
)


@dataclass(frozen=True)
class Identity:
    """The person in both calls; at least one of the two ids is set.

    Without a `user_id` the person is anonymous: Customer.io keeps the event and ignores traits.
    """

    user_id: str | None
    anonymous_id: str | None
    email: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, JsonValue]:
        """The identifying fields of a request that are set."""
        named = {"userId": self.user_id, "anonymousId": self.anonymous_id}
        return {name: value for name, value in named.items() if value is not None}


def resolve_identity(
    values: dict[str, JsonValue], *, event_id: str, rule_id: str, checked: bool
) -> Identity:
    """Resolve the identity from mapped values.

    If there are both a person's id and an anonymous id, both are kept: that merges a visitor's
    history into the person. The generated id is the same on every attempt, replay and redelivery.
    If `checked`, white space around identifiers is removed, and an e-mail that is not an address
    identifies nobody.

    Raises:
        MappingError: an identifier has the wrong type, is too long, or would be misread by
            Customer.io.
    """
    warnings: tuple[str, ...] = ()
    if checked and not _may_identify(values.get("email")):
        values, warnings = {**values, "email": None}, (NOT_AN_ADDRESS,)
    found = {name: _read(name, values.get(name), trim=checked) for name in IDENTIFIERS}
    user_id = found["userId"] or found["email"]
    anonymous_id = found["anonymousId"]
    if user_id is None and anonymous_id is None:
        anonymous_id = str(uuid.uuid5(uuid.UUID(event_id), rule_id))
    return Identity(
        user_id=user_id, anonymous_id=anonymous_id, email=found["email"], warnings=warnings
    )


def is_address(text: str) -> bool:
    """Say whether `text` has the form of an e-mail address, apart from white space around it."""
    return _ADDRESS.fullmatch(text.strip()) is not None


def _may_identify(email: JsonValue) -> bool:
    """Say whether it is absent, an address, or of a type that is refused for every identifier."""
    if isinstance(email, str):
        return is_blank(email) or is_address(email)
    return isinstance(email, bool) or not isinstance(email, int | float)


def _read(name: str, value: JsonValue, *, trim: bool) -> str | None:
    if value is None or is_blank(value):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise MappingError(name, f"is {kind(value)}; an identifier is a string or a number")
    text = to_string(value).strip() if trim else to_string(value)
    check_identifier(name, text)
    return text


def check_anonymous(identity: Identity, traits: dict[str, JsonValue]) -> None:
    """Make sure that nothing of a message names a person.

    Raises:
        MappingError: something does.
    """
    if identity.user_id is not None:
        raise names_a_person("userId" if identity.email is None else "userId or email")
    if identity.anonymous_id is not None and is_address(identity.anonymous_id):
        raise names_a_person("anonymousId")
    for name in traits:
        if name in _NAMING or name.strip().lower() == "email":
            raise names_a_person(f"trait {name.strip()}")
