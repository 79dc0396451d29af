"""One person in a workspace."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pydantic import JsonValue


@dataclass(eq=False)
class Person:
    """`attributes` without id and e-mail; `merged` holds the cio_ids of people merged into it."""

    cio_id: str
    region: str
    id: str | None = None
    email: str | None = None
    anonymous_ids: set[str] = field(default_factory=set)
    attributes: dict[str, JsonValue] = field(default_factory=dict)
    merged: list[str] = field(default_factory=list)
    set_at: dict[str, datetime] = field(default_factory=dict)

    def set(self, values: dict[str, JsonValue], at: datetime, *, in_order: bool) -> None:
        """Set attributes as of `at`; with `in_order`, those of a later call stay."""
        for name, value in values.items():
            if in_order and name in self.set_at and self.set_at[name] > at:
                continue
            self.attributes[name] = value
            self.set_at[name] = at

    def absorb(self, other: Person) -> None:
        """Add what `other` has and this person lacks."""
        self.id = self.id or other.id
        self.email = self.email or other.email
        self.anonymous_ids |= other.anonymous_ids
        self.attributes = {**other.attributes, **self.attributes}
        self.set_at = {**other.set_at, **self.set_at}
        self.merged += [*other.merged, other.cio_id]

    def as_json(self) -> dict[str, JsonValue]:
        return {
            "cio_id": self.cio_id,
            "region": self.region,
            "id": self.id,
            "email": self.email,
            "anonymous_ids": [*sorted(self.anonymous_ids)],
            "attributes": self.attributes,
            "merged": list(self.merged),
        }
