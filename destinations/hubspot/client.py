"""Send to HubSpot's API: one writing request for one message.

A membership is changed by the contact's id, which is read first. The read finds the contact by its
address, not through the search index, which lags behind writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from pydantic import JsonValue

from delivery.credential import Credential
from delivery.message import Message, encode_value
from delivery.outcome import AUTH_STATUS, Outcome, Then
from destinations.complaint import read_object
from destinations.destination import MappingField, NotListed, Option, Verdict, Verification
from destinations.http.exchange import Answer
from destinations.http.redaction import strings
from destinations.http.vendor_client import VendorClient
from destinations.hubspot.build import EMAIL
from destinations.hubspot.destination import LISTS, PROPERTIES, TOKEN, judge, name_in
from destinations.hubspot.guards import MAX_VALUE

UPSERT = "crm/v3/objects/contacts/batch/upsert"
SEND_EVENT = "events/v3/send"

EVENT_DEFINITIONS = "events/v3/event-definitions"
CONTACT_PROPERTIES = "crm/v3/properties/contacts"
CONTACTS = "0-1"  # HubSpot's number of that type of object

LISTS_PER_PAGE = 500
EVENTS_PER_PAGE = 100
MOST_PAGES = 5
LARGEST_PAGE = 4 * 1024 * 1024  # bytes; all properties come in one

_STORED = re.compile(rb'"results"\s*:\s*\[\s*\{')


class HubSpotClient(VendorClient):
    """Sends messages, checks tokens, lists items. It never waits and never tries twice."""

    vendor = "HubSpot"
    vendor_url = "https://api.hubapi.com"
    token = TOKEN

    async def send(self, message: Message, credential: Credential) -> Outcome:
        """Make exactly one writing request; for a membership, one that reads before it.

        Raises:
            NoReply: no status came within the time, or a connection failed.
        """
        if message.call == "identify":
            answer = await self._ask("POST", UPSERT, credential, message.encode())
        elif "eventName" in message.body:
            answer = await self._ask("POST", SEND_EVENT, credential, message.encode())
        else:
            return await self._change_membership(message, credential)
        return self._judged(answer, message, credential)

    async def _change_membership(self, message: Message, credential: Credential) -> Outcome:
        """Find the contact's id, then change the membership, each in half of the time."""
        seconds = self._total_timeout / 2
        email = quote(str(message.body["email"]), safe="")
        read = await self._ask(
            "GET",
            f"crm/v3/objects/contacts/{email}",
            credential,
            query={"idProperty": "email", "properties": "email"},
            seconds=seconds,
        )
        id = (read_object(read.body) or {}).get("id")
        if read.status_code != 200 or not isinstance(id, str):
            return self._not_found(read, message, credential)
        target, change = message.body["list"], message.body["change"]
        answer = await self._ask(
            "PUT",
            f"crm/v3/lists/{target}/memberships/{change}",
            credential,
            encode_value([id]).encode(),
            seconds=seconds,
        )
        return self._judged(answer, message, credential)

    def _not_found(self, read: Answer, message: Message, credential: Credential) -> Outcome:
        """Judge an answer without the contact's id. What identify has just stored will be found."""
        outcome = self._judged(read, message, credential)
        if read.status_code == 404 or outcome.then is Then.DONE:
            return outcome.again("the contact was not found yet")
        return replace(outcome, message=f"{outcome.message}, when the contact was looked up")

    def _judged(self, answer: Answer, message: Message, credential: Credential) -> Outcome:
        found = read_object(answer.body)
        if answer.cut and answer.status_code == 200 and _STORED.search(answer.body):
            # The contact is repeated, and larger than is read.
            found = {"results": [{}]}
        if found is not None and "results" in found:
            answer = replace(answer, body=_kept(found), cut=False)
        outcome = answer.outcome(secrets=credential.secrets.values(), sent=strings(message.body))
        return judge(outcome, found, message.call)

    async def _probe(self, credential: Credential) -> Verification:
        """Read the description of a property, which says nothing of people."""
        answer = await self._ask("GET", f"{CONTACT_PROPERTIES}/email", credential)
        found = read_object(answer.body)
        if answer.status_code == 200 and (found or {}).get("name") == "email":
            return Verification(Verdict.RIGHT, "HubSpot accepts this token")
        category = name_in(found, "category")
        if answer.status_code in AUTH_STATUS and category:
            told = f"HubSpot does not accept this token: {category}"
            return Verification(Verdict.WRONG_KEY, told)
        return self._unchecked(f"answered with {answer.status_code}")

    async def options(self, credential: Credential, kind: str) -> tuple[Option, ...]:
        """List static lists, properties of contacts that can be written, or custom events.

        Raises:
            NotListed: they can't be read.
            NoReply: no status came within the time, or the connection failed.
        """
        if kind == PROPERTIES:
            return tuple(
                Option(name, str(one.get("label") or name))
                for name, one in (await self._properties(credential)).items()
                if name != EMAIL
            )
        if kind == LISTS:
            return await self._lists(credential)
        return await self._events(credential)

    async def fields(self, credential: Credential) -> tuple[MappingField, ...]:
        """List the account's own properties of contacts that can be written.

        Raises as `options` does.
        """
        return tuple(
            MappingField(
                key=name,
                label=str(one.get("label") or name),
                description=str(one.get("description") or ""),
                largest=MAX_VALUE,
            )
            for name, one in (await self._properties(credential)).items()
        )

    async def _properties(self, credential: Credential) -> dict[str, dict[str, Any]]:
        found = await self._page("GET", CONTACT_PROPERTIES, credential)
        return {
            one["name"]: one
            for one in _objects(found, "results")
            if isinstance(one.get("name"), str)
            and not one.get("hidden")
            and not _object(one, "modificationMetadata").get("readOnlyValue")
        }

    async def _lists(self, credential: Credential) -> tuple[Option, ...]:
        lists: list[Option] = []
        asked: dict[str, JsonValue] = {
            "objectTypeId": CONTACTS,
            "processingTypes": ["MANUAL", "SNAPSHOT"],
            "additionalProperties": [],
            "count": LISTS_PER_PAGE,
            "offset": 0,
        }
        for _ in range(MOST_PAGES):
            found = await self._page("POST", "crm/v3/lists/search", credential, asked)
            lists += [
                Option(one["listId"], str(one.get("name") or one["listId"]))
                for one in _objects(found, "lists")
                if isinstance(one.get("listId"), str)
            ]
            if not found.get("hasMore") or not isinstance(found.get("offset"), int):
                break
            asked["offset"] = found["offset"]
        return tuple(lists)

    async def _events(self, credential: Credential) -> tuple[Option, ...]:
        events: list[Option] = []
        query = {"limit": str(EVENTS_PER_PAGE)}
        for _ in range(MOST_PAGES):
            found = await self._page("GET", EVENT_DEFINITIONS, credential, query=query)
            for one in _objects(found, "results"):
                name = one.get("fullyQualifiedName")
                if isinstance(name, str) and not one.get("archived"):
                    label = _object(one, "labels").get("singular")
                    events.append(Option(name, str(label or name)))
            after = _object(_object(found, "paging"), "next").get("after")
            if not isinstance(after, str):
                break
            query["after"] = after
        return tuple(events)

    async def _page(
        self,
        method: str,
        path: str,
        credential: Credential,
        asked: Mapping[str, JsonValue] | None = None,
        *,
        query: Mapping[str, str] = {},
    ) -> dict[str, Any]:
        content = b"" if asked is None else encode_value(dict(asked)).encode()
        answer = await self._ask(
            method, path, credential, content, query=query, largest=LARGEST_PAGE
        )
        found = read_object(answer.body)
        if answer.status_code != 200 or found is None:
            category = name_in(found, "category")
            told = f", {category}," if category else ""
            raise NotListed(f"HubSpot's answer, {answer.status_code}{told} has no list")
        return found


def _kept(found: Mapping[str, Any]) -> bytes:
    """Keep of an answer to an upsert what names nobody: it repeats the contact."""
    results: list[JsonValue] = [
        {key: one[key] for key in ("id", "new") if isinstance(one.get(key), str | bool)}
        for one in _objects(found, "results")
    ]
    return encode_value({**found, "results": results}).encode()


def _object(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = found.get(key)
    return value if isinstance(value, dict) else {}


def _objects(found: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    listed = found.get(key)
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
