"""Make requests to Resend's API: one that writes for each message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from pydantic import JsonValue

from delivery.credential import Credential
from delivery.message import Message
from delivery.outcome import Outcome, Then
from destinations.complaint import read_object
from destinations.destination import MappingField, NotListed, Option, Verdict, Verification
from destinations.http.exchange import Answer
from destinations.http.redaction import strings
from destinations.http.vendor_client import VendorClient
from destinations.resend.build import MESSAGE_ID
from destinations.resend.destination import API_KEY, TEMPLATES
from destinations.resend.judge import SEND_ONLY, error_of, judge, judge_creation

# The largest page that Resend has.
ITEMS_PER_PAGE = 100
MOST_PAGES = 10
LARGEST_PAGE = 1024 * 1024  # bytes


class ResendClient(VendorClient):
    """Sends messages, checks keys, lists segments and templates. It never waits or tries twice."""

    vendor = "Resend"
    vendor_url = "https://api.resend.com"
    token = API_KEY
    noun = "key"
    kept = ("object", "id", "contact_id", "segment_id", "deleted", "event")

    async def send(self, message: Message, credential: Credential) -> Outcome:
        """Make one writing request; for a contact, after a read that says whether it exists.

        Raises:
            NoReply: no status came within the time, or the connection failed.
        """
        if message.call == "identify":
            return await self._upsert(message, credential)
        if message.call == "send":
            key = _idempotency_key(message)
            return await self._write("POST", "emails", message, credential, key=key)
        if "event" in message.body:
            return await self._write("POST", "events/send", message, credential)
        segment = f"{_contact(message)}/segments/{quote(str(message.body['segment_id']), safe='')}"
        method = "DELETE" if message.body.get("deleted") else "POST"
        return await self._write(method, segment, message, credential)

    async def _upsert(self, message: Message, credential: Credential) -> Outcome:
        """Update the contact, or create it. What Resend does with a creation of one that exists is
        published nowhere.
        """
        found = await self._ask("GET", _contact(message), credential)
        if 200 <= found.status_code < 300:
            return await self._write("PATCH", _contact(message), message, credential)
        if found.status_code != 404:
            return self._judged(found, message, credential)
        return judge_creation(await self._write("POST", "contacts", message, credential))

    async def _probe(self, credential: Credential) -> Verification:
        """List one segment."""
        answer = await self._ask("GET", "segments", credential, query={"limit": "1"})
        found = read_object(answer.body)
        outcome = judge(answer.outcome(secrets=(), sent=()), found)
        if outcome.then is Then.DONE:
            return Verification(Verdict.RIGHT, "Resend accepts this key")
        if found is not None and error_of(found) == SEND_ONLY:
            told = "Resend accepts this key, but only for mails; other actions need full access"
            return Verification(Verdict.RIGHT, told)
        if outcome.then is Then.HOLD:
            return Verification(Verdict.WRONG_KEY, f"{outcome.message}; copy the key again")
        return self._unchecked(outcome.message)

    async def options(self, credential: Credential, kind: str) -> tuple[Option, ...]:
        """List the segments, or the templates that are published, the first thousand.

        Raises:
            NotListed: they can't be read.
            NoReply: no status came within the time, or the connection failed.
        """
        items = await self._items(kind, credential)
        return tuple(
            Option(one["id"], str(one.get("name") or one["id"]))
            for one in items
            if kind != TEMPLATES or one.get("status") != "draft"
        )

    async def fields(self, credential: Credential) -> tuple[MappingField, ...]:
        """List the account's own contact properties. Raises as `options` does."""
        return tuple(
            MappingField(key=one["key"], label=one["key"], description="A contact property.")
            for one in await self._items("contact-properties", credential)
            if isinstance(one.get("key"), str)
        )

    async def _items(self, kind: str, credential: Credential) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        asked = {"limit": str(ITEMS_PER_PAGE)}
        for _ in range(MOST_PAGES):
            answer = await self._ask("GET", kind, credential, query=asked, largest=LARGEST_PAGE)
            found = read_object(answer.body)
            if found is not None and (error := error_of(found)) is not None:
                raise NotListed(f"Resend says {error}")
            if found is None or not isinstance(found.get("data"), list):
                raise NotListed(f"Resend's answer, {answer.status_code}, can't be read")
            page = [one for one in found["data"] if _has_id(one)]
            items += page
            if found.get("has_more") is not True or not page:
                break
            asked["after"] = page[-1]["id"]
        return items

    async def _write(
        self,
        method: str,
        path: str,
        message: Message,
        credential: Credential,
        *,
        key: str | None = None,
    ) -> Outcome:
        # The address says all that a removal needs.
        content = b"" if method == "DELETE" else message.encode()
        headers = {"Idempotency-Key": key} if key else {}
        answer = await self._ask(method, path, credential, content, headers=headers)
        return self._judged(answer, message, credential)

    def _judged(self, answer: Answer, message: Message, credential: Credential) -> Outcome:
        return judge(*self._outcome(answer, credential, _identifying(message.body)))


def _contact(message: Message) -> str:
    return f"contacts/{quote(str(message.body['email']), safe='')}"


def _idempotency_key(message: Message) -> str | None:
    tags: Any = message.body["tags"]
    return next((tag["value"] for tag in tags if tag["name"] == MESSAGE_ID), None)


def _identifying(body: Mapping[str, JsonValue]) -> Iterator[str]:
    """Yield what in a body is about a person, not the ids that say what went wrong."""
    for key in ("email", "first_name", "last_name"):
        value = body.get(key)
        if isinstance(value, str):
            yield value
    template = body.get("template")
    variables = template.get("variables") if isinstance(template, dict) else None
    yield from strings([body.get("to"), body.get("properties"), body.get("payload"), variables])


def _has_id(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("id"), str)
