"""A HubSpot on loopback: contacts, static lists, custom events, and its errors.

It behaves as far as HubSpot's reference and its Python client say; nothing in it was compared with
the live service. Which answer an event gets whose `uuid` is known isn't published: here it is 204,
and nothing is recorded.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from pydantic import JsonValue

from destinations.hubspot.simulated_account import (
    Contact,
    ContactList,
    Occurrence,
    Property,
    new_properties,
)
from destinations.simulator import Answer, Request, VendorSimulator, json_answer
from destinations.simulator.calls import Calls, find_call
from destinations.simulator.per_second import PerSecond

TOKEN = "pat-na1-simulated"  # noqa: S105  opens this simulator only
HUB = "1234567"
NEWS = "5"
SIGNED_UP = f"pe{HUB}_signed_up"
WRITE_CONTACTS = "crm.objects.contacts.write"
READ_CONTACTS = "crm.objects.contacts.read"
SCOPES = (
    f"{WRITE_CONTACTS},{READ_CONTACTS},crm.lists.read,crm.lists.write,"
    "analytics.behavioral_events.send,behavioral_events.event_definitions.read_write"
)

_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


@dataclass
class HubSpotService:
    """`tokens` maps each token to its scopes, or to the category with which it is refused, such as
    `EXPIRED_AUTHENTICATION`.

    Each request beyond `per_second` gets 429 and the name of the limit. The next `unseen` reads
    don't find a contact that is there, as if it had just been written.
    """

    tokens: dict[str, str] = field(default_factory=lambda: {TOKEN: SCOPES})
    contacts: dict[str, Contact] = field(default_factory=dict)
    lists: dict[str, ContactList] = field(default_factory=lambda: {NEWS: ContactList(NEWS, "News")})
    properties: dict[str, Property] = field(default_factory=new_properties)
    events: dict[str, tuple[str, ...]] = field(default_factory=lambda: {SIGNED_UP: ("plan",)})
    occurrences: list[Occurrence] = field(default_factory=list)
    per_second: int | None = None
    unseen: int = 0
    _rate: PerSecond = field(default_factory=PerSecond)

    def accepts(self, region: str) -> str:
        return f"token {', '.join(self.tokens)}"

    def call_of(self, request: Request) -> str:
        return find_call(_CALLS, request)[0]

    def key_of(self, request: Request) -> str | None:
        return request.bearer

    def handle(self, request: Request) -> Answer:
        call, parts = find_call(_CALLS, request)
        if call not in _CALLS:
            return _refused(404, "OBJECT_NOT_FOUND", "No such resource")
        scopes = self.tokens.get(request.key or "")
        if scopes is None:
            return _refused(401, "INVALID_AUTHENTICATION", "Authentication credentials not found")
        if scopes.isupper():
            return _refused(401, scopes, "The token used to make this call is not valid")
        if _NEEDED[call] not in scopes.split(","):
            return _refused(403, "MISSING_SCOPES", "This app hasn't been granted all scopes")
        if self._rate.exceeded(self.per_second):
            return _refused(
                429,
                "RATE_LIMITS",
                "You have reached your secondly limit.",
                policyName="SECONDLY",
            )
        methods: dict[str, Callable[..., Answer]] = {
            "upsert": self._upsert,
            "contact": self._contact,
            "add": self._change,
            "remove": self._change,
            "lists": self._lists,
            "properties": self._listed_properties,
            "property": self._property,
            "definitions": self._definitions,
            "send": self._send,
        }
        return methods[call](request, *parts)

    def contact_of(self, email: str) -> Contact | None:
        email = email.lower()
        found = self.contacts.values()
        return next((one for one in found if one.properties.get("email") == email), None)

    def _upsert(self, request: Request) -> Answer:
        """Store those that are valid; one that isn't doesn't stop the others, but makes a 207."""
        results: list[JsonValue] = []
        errors: list[JsonValue] = []
        inputs = request.body.get("inputs")
        if not isinstance(inputs, list) or not inputs:
            return _refused(400, "VALIDATION_ERROR", "Invalid input JSON")
        for one in inputs:
            if (fault := self._fault(one)) is not None:
                errors.append(fault)
            elif isinstance(one, dict):
                results.append(self._stored(one))
        request.stored = bool(results)
        at = datetime.now(UTC).isoformat()
        told: dict[str, JsonValue] = {"status": "COMPLETE", "results": results}
        told |= {"startedAt": at, "completedAt": at}
        if errors:
            told |= {"numErrors": len(errors), "errors": errors}
        return json_answer(told, status=207 if errors else 200)

    def _fault(self, given: Any) -> JsonValue:
        if not isinstance(given, dict) or given.get("idProperty") != "email":
            return _invalid("Unable to upsert by non-unique property")
        email, written = given.get("id"), given.get("properties")
        if not isinstance(email, str) or not _ADDRESS.fullmatch(email):
            return _invalid(f"Email address {email} is invalid", "INVALID_EMAIL")
        if not isinstance(written, dict):
            return _invalid("Properties are required")
        for name, value in written.items():
            known = self.properties.get(name)
            if known is None:
                told = f'Property "{name}" does not exist'
                return _invalid(told, "PROPERTY_DOESNT_EXIST")
            if known.read_only or not isinstance(value, str):
                return _invalid(f'"{name}" can\'t be set to {value}')
            if known.options and value and value not in known.options:
                told = f"{value} was not one of the allowed options: {list(known.options)}"
                return _invalid(told, "INVALID_OPTION")
        return None

    def _stored(self, given: dict[str, Any]) -> JsonValue:
        contact = self.contact_of(given["id"])
        new = contact is None
        if contact is None:
            contact = Contact(str(101 + len(self.contacts)), {"email": given["id"].lower()})
            self.contacts[contact.id] = contact
        contact.properties |= given["properties"]
        return {**contact.shown(), "new": new}

    def _contact(self, request: Request, email: str) -> Answer:
        found = self.contact_of(unquote(email)) if "idProperty" in request.query else None
        if found is not None and self.unseen:
            self.unseen -= 1
            found = None
        if found is None:
            return _refused(404, "OBJECT_NOT_FOUND", "resource not found")
        return json_answer(found.shown())

    def _change(self, request: Request, list_id: str, change: str) -> Answer:
        found = self.lists.get(list_id)
        ids = request.parsed
        if found is None:
            return _refused(404, "OBJECT_NOT_FOUND", f"List does not exist with ID {list_id}.")
        if found.processing == "DYNAMIC":
            return _refused(400, "VALIDATION_ERROR", "DYNAMIC lists can't be changed")
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            return _refused(400, "VALIDATION_ERROR", "Invalid input JSON")
        known = {str(one) for one in ids if one in self.contacts}
        changed = known - found.members if change == "add" else known & found.members
        found.members = found.members | known if change == "add" else found.members - known
        request.stored = True
        return json_answer(
            {
                "recordsIdsAdded": sorted(changed) if change == "add" else [],
                "recordIdsRemoved": sorted(changed) if change == "remove" else [],
                "recordIdsMissing": sorted(str(one) for one in ids if one not in known),
            }
        )

    def _lists(self, request: Request) -> Answer:
        kinds = request.body.get("processingTypes") or ["MANUAL", "SNAPSHOT", "DYNAMIC"]
        start, count = request.body.get("offset", 0), request.body.get("count", 20)
        if not isinstance(start, int) or not isinstance(count, int) or not isinstance(kinds, list):
            return _refused(400, "VALIDATION_ERROR", "Invalid input JSON")
        found = [one for one in self.lists.values() if one.processing in kinds]
        end = start + min(count, 500)
        return json_answer(
            {
                "lists": [one.shown() for one in found[start:end]],
                "hasMore": end < len(found),
                "offset": end,
                "total": len(found),
            }
        )

    def _listed_properties(self, request: Request) -> Answer:
        return json_answer({"results": [one.shown() for one in self.properties.values()]})

    def _property(self, request: Request, name: str) -> Answer:
        if (found := self.properties.get(name)) is None:
            return _refused(404, "OBJECT_NOT_FOUND", "no such property")
        return json_answer(found.shown())

    def _definitions(self, request: Request) -> Answer:
        try:
            start = int(request.query.get("after", 0))
            end = start + min(int(request.query.get("limit", 20)), 100)
        except ValueError:
            return _refused(400, "VALIDATION_ERROR", "Invalid page")
        names = list(self.events)
        told: dict[str, JsonValue] = {
            "total": len(names),
            "results": [
                {
                    "fullyQualifiedName": name,
                    "name": name.partition("_")[2],
                    "labels": {"singular": name.partition("_")[2].replace("_", " ")},
                    "archived": False,
                    "properties": [{"name": one} for one in self.events[name]],
                }
                for name in names[start:end]
            ],
        }
        if end < len(names):
            told["paging"] = {"next": {"after": str(end)}}
        return json_answer(told)

    def _send(self, request: Request) -> Answer:
        body = request.body
        name, email, written = body.get("eventName"), body.get("email"), body.get("properties")
        if not isinstance(name, str) or name not in self.events:
            return _refused(400, "VALIDATION_ERROR", f"Event definition {name} does not exist")
        if not isinstance(email, str) or not isinstance(written, dict):
            return _refused(400, "VALIDATION_ERROR", "Invalid input JSON")
        for key, value in written.items():
            if key not in self.events[name] or not isinstance(value, str):
                return _refused(400, "VALIDATION_ERROR", f"Property {key} is not valid")
        id = str(body.get("uuid") or uuid.uuid4())
        if id not in {one.uuid for one in self.occurrences}:
            at = str(body.get("occurredAt") or datetime.now(UTC).isoformat())
            properties = {key: str(value) for key, value in written.items()}
            self.occurrences.append(Occurrence(name, email.lower(), at, properties, id))
            request.stored = True
        return Answer(204)

    def state(self) -> dict[str, JsonValue]:
        return {
            "contacts": [one.shown() for one in self.contacts.values()],
            "lists": [
                {**one.shown(), "members": [*sorted(one.members)]} for one in self.lists.values()
            ],
            "events": [one.shown() for one in self.occurrences],
        }


# By name: the method and the path.
_CALLS: Calls = {
    "upsert": ("POST", "/crm/v3/objects/contacts/batch/upsert"),
    "contact": ("GET", "/crm/v3/objects/contacts/([^/]+)"),
    "add": ("PUT", "/crm/v3/lists/([^/]+)/memberships/(add)"),
    "remove": ("PUT", "/crm/v3/lists/([^/]+)/memberships/(remove)"),
    "lists": ("POST", "/crm/v3/lists/search"),
    "properties": ("GET", "/crm/v3/properties/contacts"),
    "property": ("GET", "/crm/v3/properties/contacts/([^/]+)"),
    "definitions": ("GET", "/events/v3/event-definitions"),
    "send": ("POST", "/events/v3/send"),
}
# The scope that each needs.
_NEEDED = {
    "upsert": WRITE_CONTACTS,
    "contact": READ_CONTACTS,
    "add": "crm.lists.write",
    "remove": "crm.lists.write",
    "lists": "crm.lists.read",
    "properties": READ_CONTACTS,
    "property": READ_CONTACTS,
    "definitions": "behavioral_events.event_definitions.read_write",
    "send": "analytics.behavioral_events.send",
}


class HubSpotSimulator(VendorSimulator[HubSpotService]):
    label = "HubSpot"
    calls = tuple(_CALLS)
    credentials = "tokens"

    def __init__(self) -> None:
        super().__init__(HubSpotService)


def _invalid(message: str, code: str = "") -> JsonValue:
    return {
        "status": "error",
        "category": "VALIDATION_ERROR",
        "message": message,
        "context": {},
        "links": {},
        "errors": [{"message": message, "code": code}] if code else [],
    }


def _refused(status: int, category: str, message: str, **more: str) -> Answer:
    told = {
        "status": "error",
        "message": message,
        "correlationId": str(uuid.uuid4()),
        "category": category,
    }
    return json_answer({**told, **more}, status=status)
