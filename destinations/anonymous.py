"""Check that an event names nobody if its key is for anonymous visitors only."""

from __future__ import annotations

from delivery.errors import MappingError
from delivery.event import Event
from delivery.rule import MatchedRule
from delivery.transforms import is_blank

NAMING = ("userid", "email")


def check_anonymous(event: Event, rule: MatchedRule) -> None:
    """Check what is sent of an event as it is, without an identity made of it.

    Raises:
        MappingError: the event came with a key for anonymous visitors only and names a person.
    """
    if not rule.anonymous_only:
        return
    for name, value in event.payload.items():
        if name.strip().lower() in NAMING and value is not None and not is_blank(value):
            raise names_a_person(name.strip())


def check_known(rule: MatchedRule, vendor: str) -> None:
    """Check what is sent to a vendor that stores nobody but people who are known.

    Raises:
        MappingError: the event came with a key for anonymous visitors only.
    """
    if rule.anonymous_only:
        raise names_a_person("email", f", and {vendor} stores nobody else")


def names_a_person(field: str, why: str = "") -> MappingError:
    return MappingError(
        field,
        f"names a person{why}, but the key that the event came with is for anonymous visitors "
        "only; emit events about known people from a backend",
    )
