"""Make requests to Mailchimp's Marketing API: one for each message."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from delivery.credential import Credential
from delivery.message import Message, encode_value
from delivery.outcome import AUTH_STATUS, Outcome
from destinations.complaint import read_object
from destinations.destination import MappingField, NotListed, Option, Verdict, Verification
from destinations.http.exchange import Answer
from destinations.http.redaction import strings
from destinations.http.vendor_client import VendorClient
from destinations.mailchimp.destination import API_KEY, data_center_of
from destinations.mailchimp.judge import WRONG_DATA_CENTER, judge, title_of

# Any name is accepted. Three bytes of a header are four characters of base64, so behind nine bytes
# the key is written as without them, and redaction finds it.
USER = b"emitonce:"

LARGEST_CONTACT = 1024 * 1024  # bytes

ITEMS_PER_PAGE = 1_000  # the most that Mailchimp has on one
MOST_PAGES = 5
MOST_AUDIENCES = 10  # whose merge fields are listed
LARGEST_PAGE = 1024 * 1024  # bytes


class MailchimpClient(VendorClient):
    """Sends messages, checks keys, lists audiences. It never waits and never tries twice."""

    vendor = "Mailchimp"
    vendor_url = "https://api.mailchimp.com/3.0"
    token = API_KEY
    noun = "key"
    kept = ("contact_id", "web_id", "status")  # `id` is a hash of the address

    def _base_url(self, credential: Credential) -> str:
        url = super()._base_url(credential)
        if url != self.vendor_url:
            return url
        data_center = data_center_of(credential.secrets[API_KEY].get_secret_value())
        return f"https://{data_center}.api.mailchimp.com/3.0"

    def _authorization(self, credential: Credential) -> str:
        key = credential.secrets[API_KEY].get_secret_value()
        return f"Basic {base64.b64encode(USER + key.encode()).decode()}"

    async def send(self, message: Message, credential: Credential) -> Outcome:
        """Make exactly one request.

        Raises:
            NoReply: no status came within the time, or the connection failed.
        """
        body: Any = message.body
        email = (body["member"] if message.call == "identify" else body)["email_address"]
        hashed = hashlib.md5(email.encode(), usedforsecurity=False).hexdigest()
        member = f"lists/{body['list_id']}/members/{hashed}"
        if message.call == "identify":
            # Without a value for every field that the audience's forms require.
            content, query = body["member"], {"skip_merge_validation": "true"}
            method, path = "PUT", member
        else:
            content, query = body["event"], {}
            method, path = "POST", f"{member}/events"
        answer = await self._ask(
            method,
            path,
            credential,
            encode_value(content).encode(),
            query=query,
            largest=LARGEST_CONTACT,
        )
        outcome, found = self._outcome(answer, credential, (email, hashed, *_personal(body)))
        return judge(outcome, found, message.call)

    async def _probe(self, credential: Credential) -> Verification:
        """Ping the account, which reads and writes nothing."""
        answer = await self._ask("GET", "ping", credential)
        found = read_object(answer.body)
        title = title_of(found)
        if answer.status_code == 200 and isinstance((found or {}).get("health_status"), str):
            return Verification(Verdict.RIGHT, "Mailchimp accepts this key")
        if answer.status_code in AUTH_STATUS and title is not None:
            verdict = Verdict.WRONG_REGION if title == WRONG_DATA_CENTER else Verdict.WRONG_KEY
            return Verification(verdict, f"Mailchimp does not accept this key: {title}")
        return self._unchecked(f"answered with {answer.status_code}")

    async def options(self, credential: Credential, kind: str) -> tuple[Option, ...]:
        """List the account's audiences.

        Raises:
            NotListed: they can't be read.
            NoReply: no status came within the time, or the connection failed.
        """
        audiences = await self._items("lists", "lists", ("id", "name"), credential)
        return tuple(Option(one["id"], str(one.get("name") or one["id"])) for one in audiences)

    async def fields(self, credential: Credential) -> tuple[MappingField, ...]:
        """List the merge fields of the first audiences, each tag once. Raises as `options` does."""
        found: dict[str, MappingField] = {}
        for audience in (await self.options(credential, "lists"))[:MOST_AUDIENCES]:
            path = f"lists/{audience.value}/merge-fields"
            wanted = ("tag", "name", "type", "help_text")
            for one in await self._items(path, "merge_fields", wanted, credential):
                field = MappingField(
                    key=one["tag"],
                    label=str(one.get("name") or one["tag"]),
                    description=str(one.get("help_text") or f"A merge field, {one.get('type')}."),
                )
                found.setdefault(field.key, field)
        return tuple(found.values())

    async def _items(
        self, path: str, kind: str, wanted: tuple[str, ...], credential: Credential
    ) -> list[dict[str, Any]]:
        """List items that have the first of the `wanted` values, over pages."""
        items: list[dict[str, Any]] = []
        query = {"count": str(ITEMS_PER_PAGE)}
        query["fields"] = ",".join((*(f"{kind}.{one}" for one in wanted), "total_items"))
        for page in range(MOST_PAGES):
            query["offset"] = str(page * ITEMS_PER_PAGE)
            answer = await self._ask("GET", path, credential, query=query, largest=LARGEST_PAGE)
            found = _page(answer, kind)
            items += [
                one
                for one in found[kind]
                if isinstance(one, dict) and isinstance(one.get(wanted[0]), str)
            ]
            total = found.get("total_items")
            if not isinstance(total, int) or total <= (page + 1) * ITEMS_PER_PAGE:
                break
        return items


def _page(answer: Answer, kind: str) -> Mapping[str, Any]:
    found = read_object(answer.body)
    if answer.status_code == 200 and found is not None and isinstance(found.get(kind), list):
        return found
    title = title_of(found)
    told = f", {title}," if title else ""
    raise NotListed(f"Mailchimp's answer, {answer.status_code}{told} has no {kind}")


def _personal(body: Mapping[str, JsonValue]) -> Iterator[str]:
    """Yield what in a message is about a person, not the words that say what went wrong."""
    for part in ("member", "event"):
        given = body.get(part)
        if isinstance(given, dict):
            yield from strings(
                [given.get(key) for key in ("ip_signup", "merge_fields", "properties")]
            )
