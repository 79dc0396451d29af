"""What is kept about a person: handed out, or erased."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from delivery.people import LONGEST_IDENTIFIER
from operations.person_events import MOST_IDENTIFIERS, SHORTEST_SCANNED
from starter.api.schemas.shared import Answer, Flag, Id, Maybe, Page, StrictInput, Text

Identifier = Annotated[Text, Field(max_length=LONGEST_IDENTIFIER)]


class PersonInput(StrictInput):
    """A person, by all identifiers that are known."""

    identifiers: Annotated[
        list[Identifier],
        Field(
            min_length=1,
            max_length=MOST_IDENTIFIERS,
            description="User ids, e-mail addresses, anonymous ids.",
        ),
    ]
    scan: Annotated[
        Flag,
        Field(
            description="Read every payload of the workspace, and take the events that have one of "
            "the identifiers anywhere in it: for free text, and for events older than the search "
            "by person."
        ),
    ] = False

    @model_validator(mode="after")
    def _long_enough_to_scan_for(self) -> PersonInput:
        if self.scan and any(len(one.strip()) < SHORTEST_SCANNED for one in self.identifiers):
            raise ValueError(
                f"with scan, each identifier needs {SHORTEST_SCANNED} characters or more"
            )
        return self


class PersonPage(Page[dict[str, Any]]):
    """A page may have no records and still a next one: with `scan`, none of its events matched."""

    records: Annotated[
        list[dict[str, Any]],
        Field(description="As `emitonce events show --json`: payload, deliveries, attempts."),
    ]


class NamedConnection(Answer):
    id: Id
    name: str
    type: str


class Remains(Answer):
    """Where data may remain; `until` is a date, absent where nobody knows."""

    where: str
    what: str
    until: Maybe[str] = None
    connections: Annotated[
        Maybe[list[NamedConnection]],
        Field(description="Those that delivered events about the person; delete it there."),
    ] = None


class PersonErased(Answer):
    erased: Annotated[list[Id], Field(description="The events' ids.")]
    remains: list[Remains]
