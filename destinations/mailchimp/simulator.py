"""A Mailchimp on loopback: audiences, their contacts and merge fields, events, and its errors.

It behaves as far as Mailchimp's reference, its Python client and published answers say; nothing in
it was compared with the live service. What becomes of merge fields that an audience doesn't have
isn't published: here they are ignored. A contact is in a compliance state after it has left by
itself (`leave`).
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from destinations.simulator import Answer, Request, VendorSimulator, json_answer
from destinations.simulator.calls import Calls, find_call
from destinations.simulator.control import Routes, read_object
from destinations.simulator.wire import Incoming

KEY = (
    "0123456789abcdef0123456789abcdef-us6"  # opens this simulator only  # pragma: allowlist secret
)
NEWS = "a1b2c3d4e5"
AT_ONCE = 10
STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional")
PROBLEM_TYPE = "application/problem+json; charset=utf-8"

_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


@dataclass
class Contact:
    email: str
    status: str
    merge_fields: dict[str, JsonValue] = field(default_factory=dict)
    ip_signup: str = ""
    left: bool = False
    contact_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Occurrence:
    email: str
    name: str
    properties: dict[str, str]
    occurred_at: str


@dataclass(frozen=True)
class MergeField:
    tag: str
    name: str
    type: str = "text"
    required: bool = False


def _merge_fields() -> list[MergeField]:
    return [
        MergeField("FNAME", "First Name"),
        MergeField("LNAME", "Last Name"),
        MergeField("ADDRESS", "Address", "address"),
        MergeField("PHONE", "Phone Number", "phone"),
        MergeField("PLAN", "Plan"),
    ]


@dataclass
class Audience:
    """`contacts` and `forgotten` are by the hash of an address."""

    id: str
    name: str
    merge_fields: list[MergeField] = field(default_factory=_merge_fields)
    contacts: dict[str, Contact] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)

    def leave(self, email: str) -> None:
        """Unsubscribe the contact as by a link in a mail."""
        contact = self.contacts[hash_of(email)]
        contact.status, contact.left = "unsubscribed", True

    def forget(self, email: str) -> None:
        """Delete the contact permanently."""
        self.contacts.pop(hash_of(email), None)
        self.forgotten.add(hash_of(email))


def hash_of(email: str) -> str:
    return hashlib.md5(email.lower().encode(), usedforsecurity=False).hexdigest()


@dataclass
class MailchimpService:
    """Of a key's requests beyond `at_once` under way, each gets 429."""

    under_way: Callable[[], Sequence[Request]] = tuple
    keys: set[str] = field(default_factory=lambda: {KEY})
    audiences: dict[str, Audience] = field(default_factory=lambda: {NEWS: Audience(NEWS, "News")})
    occurrences: list[Occurrence] = field(default_factory=list)
    at_once: int = AT_ONCE

    def accepts(self, region: str) -> str:
        return f"key {', '.join(sorted(self.keys))}"

    def call_of(self, request: Request) -> str:
        return find_call(_CALLS, request)[0]

    def key_of(self, request: Request) -> str | None:
        return request.basic[1] if request.basic else None

    def handle(self, request: Request) -> Answer:
        call, parts = find_call(_CALLS, request)
        if not call:
            return _problem(404, "Resource Not Found", "The requested resource could not be found.")
        if request.key not in self.keys:
            told = (
                "Your API key may be invalid, or you've attempted to access the wrong datacenter."
            )
            return _problem(401, "API Key Invalid", told)
        if sum(one.key == request.key for one in self.under_way()) > self.at_once:
            told = f"You have exceeded the limit of {self.at_once} simultaneous connections."
            return _problem(429, "Too Many Requests", told)
        if call == "ping":
            return json_answer({"health_status": "Everything's Chimpy!"})
        if call == "lists":
            return _page(request, "lists", [_listed(one) for one in self.audiences.values()])
        audience = self.audiences.get(parts[0])
        if audience is None:
            return _problem(404, "Resource Not Found", "The requested resource could not be found.")
        if call == "merge_fields":
            described = [
                _described(number, one) for number, one in enumerate(audience.merge_fields)
            ]
            return _page(request, "merge_fields", described)
        return (self._upsert if call == "member" else self._record)(request, audience, parts[1])

    def _upsert(self, request: Request, audience: Audience, of: str) -> Answer:
        given = request.body
        email, status, new = (given.get(k) for k in ("email_address", "status", "status_if_new"))
        contact = audience.contacts.get(of)
        if not isinstance(email, str) or not _ADDRESS.fullmatch(email) or hash_of(email) != of:
            return _invalid("Please provide a valid email address.")
        wanted = status or (new if contact is None else contact.status)
        if wanted not in STATUSES:
            return _invalid(_VALIDATED, status="Value must be one of the allowed statuses")
        if of in audience.forgotten and contact is None:
            told = f"{email} was permanently deleted and cannot be re-imported. The contact must "
            return _problem(400, "Forgotten Email Not Subscribed", told + "re-subscribe.")
        if contact is not None and contact.left and status == "subscribed":
            told = f"{email} is in a compliance state due to unsubscribe, bounce, or compliance "
            return _problem(400, "Member In Compliance State", told + "review.")
        fields = given.get("merge_fields", {})
        if (refused := _refused(audience, contact, fields, request)) is not None:
            return refused
        if contact is None:
            contact = audience.contacts[of] = Contact(email, str(wanted))
        contact.status = str(wanted)
        known = {one.tag for one in audience.merge_fields}
        contact.merge_fields |= {k: v for k, v in _object(fields).items() if k in known}
        contact.ip_signup = str(given.get("ip_signup", contact.ip_signup))
        request.stored = True
        return json_answer(_shown(audience, contact))

    def _record(self, request: Request, audience: Audience, of: str) -> Answer:
        given, contact = request.body, audience.contacts.get(of)
        if contact is None:
            return _problem(404, "Resource Not Found", "The requested resource could not be found.")
        name, properties = given.get("name"), given.get("properties", {})
        if not isinstance(name, str) or not 2 <= len(name) <= 30:
            return _invalid(_VALIDATED, name="This value should be 2 to 30 characters")
        if not all(isinstance(one, str) for one in _object(properties).values()):
            return _invalid(_VALIDATED, properties="Schema describes string")
        found = {key: str(value) for key, value in _object(properties).items()}
        at = str(given.get("occurred_at", ""))
        self.occurrences.append(Occurrence(contact.email, name, found, at))
        request.stored = True
        return Answer(204)

    def state(self) -> dict[str, JsonValue]:
        return {
            "lists": [
                {**_listed(one), "members": [_shown(one, of) for of in one.contacts.values()]}
                for one in self.audiences.values()
            ],
            "events": [
                {
                    "email_address": one.email,
                    "name": one.name,
                    "properties": {**one.properties},
                    "occurred_at": one.occurred_at,
                }
                for one in self.occurrences
            ],
        }


_CALLS: Calls = {
    "ping": ("GET", r"/3\.0/ping"),
    "lists": ("GET", r"/3\.0/lists"),
    "merge_fields": ("GET", r"/3\.0/lists/([^/]+)/merge-fields"),
    "member": ("PUT", r"/3\.0/lists/([^/]+)/members/([^/]+)"),
    "event": ("POST", r"/3\.0/lists/([^/]+)/members/([^/]+)/events"),
}


class MailchimpSimulator(VendorSimulator[MailchimpService]):
    label = "Mailchimp"
    base_path = "/3.0"
    calls = tuple(_CALLS)

    def __init__(self) -> None:
        super().__init__(lambda: MailchimpService(lambda: self.under_way))

    def control_routes(self) -> Routes:
        return {"keys": {"POST": self._set_keys}}

    def _set_keys(self, incoming: Incoming) -> JsonValue:
        """Replace them by `{"keys": ["…-us6"]}`."""
        given = read_object(incoming.raw).get("keys")
        self.service.keys = {str(one) for one in (given if isinstance(given, list) else [])}
        return {}


_VALIDATED = (
    "The resource submitted could not be validated. For field-specific details, see errors."
)


def _refused(
    audience: Audience, contact: Contact | None, fields: JsonValue, request: Request
) -> Answer | None:
    given = _object(fields)
    if wrong := [tag for tag, value in given.items() if isinstance(value, list | bool)]:
        told = "Data did not match any of the schemas described in anyOf."
        return _invalid(_VALIDATED, **{f"merge_fields.{tag}": told for tag in wrong})
    had = contact.merge_fields if contact is not None else {}
    missing = [
        one.tag for one in audience.merge_fields if one.required and not (had | given).get(one.tag)
    ]
    if missing and request.query.get("skip_merge_validation", "").lower() != "true":
        return _invalid(
            "Your merge fields were invalid.", **dict.fromkeys(missing, "Please enter a value")
        )
    return None


def _page(request: Request, kind: str, items: list[dict[str, JsonValue]]) -> Answer:
    try:
        start, count = (int(request.query.get(k, d)) for k, d in (("offset", 0), ("count", 10)))
    except ValueError:
        return _invalid(_VALIDATED, count="Schema describes integer")
    page: dict[str, Any] = {kind: items[start : start + min(count, 1_000)]}
    return json_answer({**page, "total_items": len(items)})


def _shown(audience: Audience, contact: Contact) -> dict[str, JsonValue]:
    return {
        "id": hash_of(contact.email),
        "email_address": contact.email,
        "unique_email_id": contact.contact_id[:10],
        "contact_id": contact.contact_id,
        "full_name": " ".join(
            str(contact.merge_fields[tag])
            for tag in ("FNAME", "LNAME")
            if tag in contact.merge_fields
        ),
        "web_id": 1,
        "status": contact.status,
        "merge_fields": {**contact.merge_fields},
        "ip_signup": contact.ip_signup,
        "list_id": audience.id,
    }


def _listed(audience: Audience) -> dict[str, JsonValue]:
    return {"id": audience.id, "web_id": 1, "name": audience.name}


def _described(number: int, one: MergeField) -> dict[str, JsonValue]:
    return {
        "merge_id": number + 1,
        "tag": one.tag,
        "name": one.name,
        "type": one.type,
        "required": one.required,
        "help_text": "",
    }


def _object(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _invalid(detail: str, **errors: str) -> Answer:
    told = [{"field": field, "message": message} for field, message in errors.items()]
    return _problem(400, "Invalid Resource", detail, errors=told)


def _problem(status: int, title: str, detail: str, **more: Any) -> Answer:
    told = {
        "type": "https://mailchimp.com/developer/marketing/docs/errors/",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": str(uuid.uuid4()),
        **more,
    }
    return Answer(status, json_answer(told).body, content_type=PROBLEM_TYPE)
