"""What an account of the simulated HubSpot holds, and how HubSpot writes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import JsonValue


@dataclass
class Contact:
    id: str
    properties: dict[str, str]

    def shown(self) -> dict[str, JsonValue]:
        at = "2026-11-23T18:00:00.000Z"
        return {
            "id": self.id,
            "properties": {**self.properties, "hs_object_id": self.id},
            "createdAt": at,
            "updatedAt": at,
            "archived": False,
        }


@dataclass
class ContactList:
    id: str
    name: str
    processing: str = "MANUAL"
    members: set[str] = field(default_factory=set)

    def shown(self) -> dict[str, JsonValue]:
        return {
            "listId": self.id,
            "name": self.name,
            "objectTypeId": "0-1",
            "processingType": self.processing,
            "processingStatus": "COMPLETE",
            "listVersion": 1,
            "additionalProperties": {},
        }


@dataclass(frozen=True)
class Property:
    """A property of contacts; `options` are all that it can have, if there are any."""

    name: str
    label: str
    options: tuple[str, ...] = ()
    read_only: bool = False

    def shown(self) -> dict[str, JsonValue]:
        return {
            "name": self.name,
            "label": self.label,
            "type": "enumeration" if self.options else "string",
            "fieldType": "select" if self.options else "text",
            "description": "",
            "groupName": "contactinformation",
            "options": [
                {"label": value.capitalize(), "value": value, "hidden": False}
                for value in self.options
            ],
            "modificationMetadata": {"readOnlyValue": self.read_only},
            "hidden": False,
        }


@dataclass(frozen=True)
class Occurrence:
    """A custom event that was recorded."""

    event: str
    email: str
    occurred_at: str
    properties: dict[str, str]
    uuid: str

    def shown(self) -> dict[str, JsonValue]:
        return {
            "eventName": self.event,
            "email": self.email,
            "occurredAt": self.occurred_at,
            "properties": {**self.properties},
            "uuid": self.uuid,
        }


def new_properties() -> dict[str, Property]:
    """Return the properties of a new account's contacts, by name."""
    named = [
        Property("email", "Email"),
        Property("firstname", "First name"),
        Property("lastname", "Last name"),
        Property("phone", "Phone number"),
        Property("company", "Company name"),
        Property("plan", "Plan"),
        Property("lifecyclestage", "Lifecycle stage", ("lead", "customer")),
        Property("createdate", "Create date", read_only=True),
    ]
    return {one.name: one for one in named}
