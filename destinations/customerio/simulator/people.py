"""The people of one workspace, by their identifiers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from destinations.customerio.simulator.call import CallBody, Identifier
from destinations.customerio.simulator.person import Person


class People:
    """Finds, creates, merges and blocks people.

    `notice` is called with what a caller never sees, `merged` with a person and the one it is now
    part of.
    """

    def __init__(
        self, region: str, notice: Callable[[str], None], merged: Callable[[Person, Person], None]
    ) -> None:
        self._region = region
        self._notice = notice
        self._merged = merged
        self._numbers = count(1)
        self._people: dict[str, Person] = {}
        self._ids: dict[str, Person] = {}
        self._emails: dict[str, Person] = {}
        self._anonymous: dict[str, Person] = {}
        self._blocked: set[Identifier] = set()

    def __iter__(self) -> Iterator[Person]:
        return iter(self._people.values())

    def find(self, who: Identifier) -> Person | None:
        index = {"cio_id": self._people, "email": self._emails, "id": self._ids}[who.kind]
        return index.get(who.value)

    def visitor(self, anonymous_id: str | None) -> Person | None:
        """Return the person into whom an `anonymousId` was merged."""
        return self._anonymous.get(anonymous_id) if anonymous_id else None

    def named(self, who: Identifier) -> Person:
        """Return the person, created if necessary."""
        return self.find(who) or self._create(who)

    def resolve(self, who: Identifier, call: CallBody, *, reassign: bool) -> Person | None:
        """Return the person whom an identify is about; None if the call is dropped.

        Someone else's e-mail is not reassigned, except that a person who has only an id and one
        who has only that e-mail become one.
        """
        email = call.email.lower() if call.email else None
        if self._is_blocked(who, email):
            self._notice("dropped: the person is suppressed")
            return None
        person = self.find(who)
        if who.kind == "cio_id" and person is None:
            self._notice("dropped: no person has this cio_id")
            return None
        owner = self._emails.get(email) if email else None
        if person is None and who.kind == "id" and owner and (owner.id is None or reassign):
            self._give_id(owner, who.value)
            return owner
        if person is None:
            person = self._create(who)
        if email and owner is None:
            self._give_email(person, email)
        elif owner is not None and owner is not person:
            if person.email is None and owner.id is None:
                self._merge(owner, into=person)
            else:
                self._notice("attribute update failed: the e-mail belongs to another person")
        return person

    def claim_visitor(self, anonymous_id: str, person: Person) -> bool:
        """Merge a visitor into a person; return False if it was merged into another before."""
        owner = self._anonymous.setdefault(anonymous_id, person)
        if owner is not person:
            self._notice("the anonymousId was merged into another person before")
            return False
        person.anonymous_ids.add(anonymous_id)
        return True

    def delete(self, who: Identifier) -> None:
        person = self.find(who)
        if person is None:
            return
        del self._people[person.cio_id]
        if person.id:
            del self._ids[person.id]
        if person.email:
            del self._emails[person.email]
        for anonymous_id in person.anonymous_ids:
            del self._anonymous[anonymous_id]

    def block(self, who: Identifier) -> None:
        """Delete the person, and drop later calls for the same identifiers."""
        self._blocked |= self._identifiers(who)
        self.delete(who)

    def unblock(self, who: Identifier) -> None:
        self._blocked.discard(who)

    def is_blocked(self, who: Identifier) -> bool:
        return who in self._blocked

    def _is_blocked(self, who: Identifier, email: str | None) -> bool:
        return who in self._blocked or Identifier("email", email or "") in self._blocked

    def _identifiers(self, who: Identifier) -> set[Identifier]:
        person = self.find(who)
        found = {who}
        if person and person.id:
            found.add(Identifier("id", person.id))
        if person and person.email:
            found.add(Identifier("email", person.email))
        return found

    def _create(self, who: Identifier) -> Person:
        person = Person(cio_id=f"{next(self._numbers):08x}", region=self._region)
        self._people[person.cio_id] = person
        if who.kind == "id":
            self._give_id(person, who.value)
        elif who.kind == "email":
            self._give_email(person, who.value)
        return person

    def _give_id(self, person: Person, id: str) -> None:
        if person.id:
            self._ids.pop(person.id, None)
        person.id = id
        self._ids[id] = person

    def _give_email(self, person: Person, email: str) -> None:
        if person.email:
            self._emails.pop(person.email, None)
        person.email = email
        self._emails[email] = person

    def _merge(self, other: Person, *, into: Person) -> None:
        into.absorb(other)
        del self._people[other.cio_id]
        if into.email:
            self._emails[into.email] = into
        for anonymous_id in other.anonymous_ids:
            self._anonymous[anonymous_id] = into
        self._merged(other, into)
