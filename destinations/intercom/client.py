"""Send to Intercom's API: one writing request for one message.

A contact has an id of Intercom's, which is read first: by what Intercom has just named, by the
external id, then by the address. Only the last is a search, which lags behind writes; a contact
that it doesn't show yet is met again in a 409, and updated by the next attempt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import JsonValue

from delivery.credential import Credential
from delivery.message import Message, encode_value
from delivery.outcome import AUTH_STATUS, Outcome, OutcomeCode, Then
from destinations.complaint import read_object
from destinations.destination import MappingField, NotListed, Option, Verdict, Verification
from destinations.http.exchange import Answer
from destinations.http.redaction import strings
from destinations.http.vendor_client import VendorClient
from destinations.intercom.destination import INTERCOM, TOKEN
from destinations.intercom.guards import MAX_ATTRIBUTE
from destinations.intercom.judge import NOT_FOUND_YET, Purpose, code_of, existing_id, judge
from destinations.intercom.person import Known, KnownContacts, Person

VENDOR_URLS = {
    "us": "https://api.intercom.io",
    "eu": "https://api.eu.intercom.io",
    "au": "https://api.au.intercom.io",
}
# Without it, the version is what the app's owner has chosen.
VERSION = {"Intercom-Version": "2.15"}

CONTACTS_PER_SEARCH = 10
LARGEST_CONTACT = 1024 * 1024  # bytes
LARGEST_PAGE = 4 * 1024 * 1024  # bytes; all tags, and all attributes, come in one

ANOTHER_PERSON = (
    "409: the contact that has this e-mail address has another external_id; nothing was changed"
)


class IntercomClient(VendorClient):
    """Sends messages, checks tokens, lists tags. It never waits and never tries twice."""

    vendor = "Intercom"
    vendor_urls = VENDOR_URLS
    token = TOKEN
    kept = ("type", "id")

    @cached_property
    def _known(self) -> KnownContacts:
        return KnownContacts()

    async def send(self, message: Message, credential: Credential) -> Outcome:
        """Make exactly one writing request; but for an event, up to three that read before it.

        Raises:
            NoReply: no status came within the time, or a connection failed.
        """
        if message.call == "identify":
            return await self._upsert(message, credential)
        if "tag" in message.body:
            return await self._change_tag(message, credential)
        answer = await self._call("POST", "events", credential, message.encode())
        return self._judged(answer, message, credential, "event")

    async def _upsert(self, message: Message, credential: Credential) -> Outcome:
        person = Person.of(message)
        found = await self._find(person, message, credential)
        if isinstance(found, Outcome):
            return found
        content = message.encode()
        if found is not None:
            answer = await self._call("PUT", f"contacts/{found}", credential, content, part=2)
            return self._judged(answer, message, credential, "update")
        answer = await self._call("POST", "contacts", credential, content, part=2)
        outcome = self._judged(answer, message, credential, "create")
        told = read_object(answer.body) or {}
        if outcome.then is Then.DONE:
            self._known.remember(person, credential, Known(told["id"]))
        elif outcome.then is Then.RETRY and (id := existing_id(told)) is not None:
            self._known.remember(person, credential, Known(id, exists=True))
        return outcome

    async def _change_tag(self, message: Message, credential: Credential) -> Outcome:
        found = await self._find(Person.of(message), message, credential)
        if isinstance(found, Outcome):
            return found
        if found is None:
            return Outcome(OutcomeCode.REJECTED_SERVER_ERROR, Then.RETRY, NOT_FOUND_YET)
        path, tag = f"contacts/{found}/tags", str(message.body["tag"])
        if message.body["change"] == "remove":
            answer = await self._call("DELETE", f"{path}/{tag}", credential, part=2)
            return self._judged(answer, message, credential, "untag")
        content = encode_value({"id": tag}).encode()
        answer = await self._call("POST", path, credential, content, part=2)
        return self._judged(answer, message, credential, "tag")

    async def _find(
        self, person: Person, message: Message, credential: Credential
    ) -> str | Outcome | None:
        """Return the id of the person's contact, None if there is none, or why it isn't known.

        All reads together have half of the time.
        """
        known = self._known.get(person, credential)
        until = asyncio.get_running_loop().time() + self._total_timeout / 2
        another = False
        for method, path, query in _look_ups(person, known):
            seconds = max(until - asyncio.get_running_loop().time(), 0.001)
            content = encode_value(query).encode() if query else b""
            answer = await self._call(method, path, credential, content, seconds=seconds)
            found = read_object(answer.body)
            if answer.status_code == 404 and code_of(found) == "not_found":
                continue
            contacts = [found] if query is None else (found or {}).get("data")
            if answer.status_code >= 300 or found is None or not isinstance(contacts, list):
                outcome = self._judged(answer, message, credential, "look_up")
                told = f"{outcome.message}, when the contact was looked up"
                return replace(outcome, message=told)
            if id := person.contact_in(contacts):
                return id
            if known is not None and known.exists and path.endswith(known.id):
                another = True
        if another:
            return Outcome(OutcomeCode.REJECTED_CLIENT_ERROR, Then.STOP, ANOTHER_PERSON)
        return None

    async def _call(
        self,
        method: str,
        path: str,
        credential: Credential,
        content: bytes = b"",
        *,
        query: Mapping[str, str] = {},
        part: int = 1,
        seconds: float | None = None,
        largest: int = LARGEST_CONTACT,
    ) -> Answer:
        """Make one request, in a `part` of the time that a try has."""
        return await self._ask(
            method,
            path,
            credential,
            content,
            headers=VERSION,
            query=query,
            seconds=seconds or self._total_timeout / part,
            largest=largest,
        )

    def _judged(
        self, answer: Answer, message: Message, credential: Credential, purpose: Purpose
    ) -> Outcome:
        outcome, found = self._outcome(answer, credential, _identifying(message.body))
        if answer.status_code == 429 and outcome.retry_after is None:
            outcome = replace(outcome, retry_after=seconds_until_reset(answer.headers))
        return judge(outcome, found, purpose)

    async def _probe(self, credential: Credential) -> Verification:
        """Ask whose token it is."""
        answer, region = await self._call("GET", "me", credential), credential.settings["region"]
        found = read_object(answer.body)
        if answer.status_code == 200 and (found or {}).get("type") == "admin":
            told = f"Intercom accepts this token in region {region}"
            return Verification(Verdict.RIGHT, told, region)
        code = code_of(found)
        if answer.status_code in AUTH_STATUS and code is not None:
            told = f"Intercom does not accept this token: {code}"
            return Verification(Verdict.WRONG_KEY, told)
        return self._unchecked(f"answered with {answer.status_code}")

    async def options(self, credential: Credential, kind: str) -> tuple[Option, ...]:
        """List the workspace's tags.

        Raises:
            NotListed: they can't be read.
            NoReply: no status came within the time, or the connection failed.
        """
        return tuple(
            Option(one["id"], str(one.get("name") or one["id"]))
            for one in await self._items("tags", credential)
            if isinstance(one.get("id"), str)
        )

    async def fields(self, credential: Credential) -> tuple[MappingField, ...]:
        """List what every workspace has, and its own attributes. Raises as `options` does."""
        own = await self._items("data_attributes", credential, {"model": "contact"})
        return INTERCOM.mapping_fields + tuple(
            MappingField(
                key=one["name"],
                label=str(one.get("label") or one["name"]),
                description=str(one.get("description") or "A custom attribute."),
                largest=MAX_ATTRIBUTE if one.get("data_type") == "string" else None,
            )
            for one in own
            if isinstance(one.get("name"), str)
            and one.get("custom") is True
            and one.get("api_writable") is not False
            and one.get("archived") is not True
        )

    async def _items(
        self, path: str, credential: Credential, query: Mapping[str, str] = {}
    ) -> list[dict[str, Any]]:
        answer = await self._call("GET", path, credential, query=query, largest=LARGEST_PAGE)
        found = read_object(answer.body)
        if answer.status_code != 200 or found is None or not isinstance(found.get("data"), list):
            code = code_of(found)
            told = f", {code}," if code else ""
            raise NotListed(f"Intercom's answer, {answer.status_code}{told} has no list")
        return [one for one in found["data"] if isinstance(one, dict)]


def seconds_until_reset(headers: httpx.Headers) -> str | None:
    """Return how many seconds Intercom's limit lasts, by its own clock if the answer has a `Date`.

    None where `X-RateLimit-Reset` is not a unix time.
    """
    reset = headers.get("x-ratelimit-reset", "")
    if not (reset.isascii() and reset.isdigit() and len(reset) <= 12):
        return None
    try:
        now = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        now = time.time()
    return str(max(int(reset) - int(now), 1))


def _look_ups(
    person: Person, known: Known | None
) -> Iterator[tuple[str, str, dict[str, JsonValue] | None]]:
    """Yield method, path and query of each way to find the contact, the surest first."""
    if known is not None:
        yield "GET", f"contacts/{known.id}", None
    if person.external_id is not None:
        named = quote(person.external_id, safe="")
        yield "GET", f"contacts/find_by_external_id/{named}", None
    if person.email is not None:
        # Leads may share an address with each other and with a user; they are left alone.
        conditions: list[JsonValue] = [
            {"field": "email", "operator": "=", "value": person.email},
            {"field": "role", "operator": "=", "value": "user"},
        ]
        yield (
            "POST",
            "contacts/search",
            {
                "query": {"operator": "AND", "value": conditions},
                "pagination": {"per_page": CONTACTS_PER_SEARCH},
            },
        )


def _identifying(body: Mapping[str, JsonValue]) -> Iterator[str]:
    """Yield what in a body is about a person, not the words that say what went wrong."""
    for name in ("external_id", "user_id", "email"):
        value = body.get(name)
        if isinstance(value, str):
            yield value
    yield from strings([body.get(name) for name in ("name", "phone", "custom_attributes")])
    yield from strings(body.get("metadata"))
