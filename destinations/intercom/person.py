"""Who a message is about, and which of Intercom's contacts that is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from delivery.credential import Credential
from delivery.message import Message

MOST_KNOWN = 10_000


@dataclass(frozen=True)
class Person:
    """At least one of the two is set."""

    external_id: str | None
    email: str | None

    @classmethod
    def of(cls, message: Message) -> Person:
        return cls(*(_text(message.body.get(name)) for name in ("external_id", "email")))

    def contact_in(self, contacts: Iterable[Any]) -> str | None:
        """Return the id of the person's contact, the oldest if there are several."""
        own = [one for one in contacts if isinstance(one, dict) and self._is(one)]
        return str(min(own, key=_created_at)["id"]) if own else None

    def _is(self, contact: Mapping[str, Any]) -> bool:
        """Say whether the contact is this person; one with another external id is not."""
        if not isinstance(contact.get("id"), str):
            return False
        external_id = _text(contact.get("external_id"))
        if self.external_id and external_id:
            return self.external_id == external_id
        email = _text(contact.get("email"))
        return bool(self.email and email) and str(self.email).lower() == str(email).lower()


@dataclass(frozen=True)
class Known:
    """`id` is a contact's; `exists` says that it is known only as what a new one clashes with."""

    id: str
    exists: bool = False


class KnownContacts:
    """Remembers which contacts Intercom has just named, since its search finds them minutes later.

    It only shortens the way: what is remembered is read again before it is used, and a worker that
    remembers nothing searches until the search has caught up.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[SecretStr, Person], Known] = OrderedDict()

    def get(self, person: Person, credential: Credential) -> Known | None:
        return self._found.get((_account(credential), person))

    def remember(self, person: Person, credential: Credential, known: Known) -> None:
        self._found[_account(credential), person] = known
        self._found.move_to_end((_account(credential), person))
        if len(self._found) > MOST_KNOWN:
            self._found.popitem(last=False)


def _account(credential: Credential) -> SecretStr:
    [token] = credential.secrets.values()
    return token


def _created_at(contact: Mapping[str, Any]) -> int:
    at = contact.get("created_at")
    return at if isinstance(at, int) else 0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
