"""An Intercom on loopback: contacts, tags, events, and its errors.

It behaves as far as Intercom's description of the API, its pages about limits and errors and its
Python client say; nothing in it was compared with the live service. Published nowhere is when a new
contact clashes with another, and what the removal of a tag that a contact doesn't have is answered
with: here a contact clashes by its external id, and by its address if one of the two has no
external id; and the removal gets 404.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from pydantic import JsonValue

from destinations.simulator import Answer, Request, VendorSimulator, json_answer
from destinations.simulator.calls import Calls, find_call

TOKEN = "intercom_us_simulated"  # noqa: S105  opens this simulator only
EU_TOKEN = "intercom_eu_simulated"  # noqa: S105
VIP = "7522907"

WINDOW_SECONDS = 10
MAX_METADATA = 10

STANDARD = ("role", "external_id", "email", "name", "phone", "unsubscribed_from_emails")


@dataclass
class Contact:
    id: str
    created_at: int
    role: str = "user"
    external_id: str | None = None
    email: str | None = None
    name: str | None = None
    phone: str | None = None
    unsubscribed_from_emails: bool = False
    custom_attributes: dict[str, JsonValue] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    archived: bool = False
    searchable: bool = True


@dataclass(frozen=True)
class Occurrence:
    """An event that was recorded; `person` is the contact's external id, else its own."""

    name: str
    person: str
    created_at: int
    metadata: dict[str, JsonValue]


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        error = {"code": code, "message": message, **({"field": field} if field else {})}
        told = {"type": "error.list", "request_id": str(uuid.uuid4()), "errors": [error]}
        self.answer = json_answer(told, status=status)


@dataclass
class IntercomService:
    """`tokens` maps each token to its region, or to the code with which it is refused, such as
    `token_revoked`; all have the same workspace.

    While it is `lagging`, searches don't show contacts that are created; `catch_up` ends that.
    Each request beyond `per_window`, in ten seconds, gets 429.
    """

    tokens: dict[str, str] = field(default_factory=lambda: {TOKEN: "us", EU_TOKEN: "eu"})
    contacts: dict[str, Contact] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=lambda: {VIP: "VIP"})
    attributes: dict[str, str] = field(
        default_factory=lambda: {"plan": "string", "seats": "integer", "paid": "boolean"}
    )
    occurrences: list[Occurrence] = field(default_factory=list)
    lagging: bool = False
    per_window: int | None = None
    now: Callable[[], float] = time.time
    _window: tuple[int, int] = (0, 0)

    def accepts(self, region: str) -> str:
        return f"token {', '.join(one for one, of in self.tokens.items() if of == region)}"

    def call_of(self, request: Request) -> str:
        return find_call(_CALLS, request)[0]

    def key_of(self, request: Request) -> str | None:
        return request.bearer

    def handle(self, request: Request) -> Answer:
        call, parts = find_call(_CALLS, request)
        methods: dict[str, Callable[..., Answer]] = {
            "me": self._me,
            "find": self._find,
            "get": self._get,
            "search": self._search,
            "create": self._create,
            "update": self._update,
            "tag": self._tag,
            "untag": self._untag,
            "event": self._event,
            "tags": self._tags,
            "attributes": self._attributes,
        }
        try:
            known = self.tokens.get(request.key or "")
            if known is not None and known.startswith("token_"):
                raise Refused(401, known, "Access Token Invalid")
            if request.region != known:
                raise Refused(401, "unauthorized", "Access Token Invalid")
            if call not in methods:
                raise Refused(404, "not_found", "Resource Not Found")
            limits = self._limit()
            answer = methods[call](request, *parts)
        except Refused as err:
            return err.answer
        return Answer(answer.status, answer.body, limits, answer.content_type)

    def catch_up(self) -> None:
        self.lagging = False
        for contact in self.contacts.values():
            contact.searchable = True

    def state(self) -> dict[str, JsonValue]:
        return {
            "contacts": [
                {**_shown(one), "tags": [*sorted(one.tags)], "archived": one.archived}
                for one in self.contacts.values()
            ],
            "events": [
                {
                    "event_name": one.name,
                    "person": one.person,
                    "created_at": one.created_at,
                    "metadata": {**one.metadata},
                }
                for one in self.occurrences
            ],
        }

    def _limit(self) -> tuple[tuple[str, str], ...]:
        """Count the request, and return the headers about the limit."""
        now = int(self.now())
        window, count = self._window
        count = count if window == now // WINDOW_SECONDS else 0
        self._window = (now // WINDOW_SECONDS, count + 1)
        if self.per_window is None:
            return ()
        headers = (
            ("X-RateLimit-Limit", str(self.per_window)),
            ("X-RateLimit-Remaining", str(max(self.per_window - count - 1, 0))),
            ("X-RateLimit-Reset", str((now // WINDOW_SECONDS + 1) * WINDOW_SECONDS)),
        )
        if count >= self.per_window:
            told = f"Exceeded rate limit of {self.per_window} in {WINDOW_SECONDS}_seconds"
            refused = Refused(429, "rate_limit_exceeded", told)
            refused.answer = Answer(429, refused.answer.body, headers)
            raise refused
        return headers

    def _me(self, request: Request) -> Answer:
        app = {"type": "app", "id_code": "simulated", "region": request.region.upper()}
        return json_answer({"type": "admin", "id": "1", "email": "admin@example.com", "app": app})

    def _contact(self, id: str) -> Contact:
        found = self.contacts.get(unquote(id))
        if found is None or found.archived:
            raise Refused(404, "not_found", "User Not Found")
        return found

    def _find(self, request: Request, external_id: str) -> Answer:
        named = unquote(external_id)
        for one in self._active():
            if one.external_id == named and one.role == "user":
                return json_answer(_shown(one))
        raise Refused(404, "not_found", "User Not Found")

    def _get(self, request: Request, id: str) -> Answer:
        return json_answer(_shown(self._contact(id)))

    def _active(self) -> list[Contact]:
        return [one for one in self.contacts.values() if not one.archived]

    def _search(self, request: Request) -> Answer:
        query: Any = request.body.get("query")
        paging: Any = request.body.get("pagination") or {}
        conditions = [query]
        if isinstance(query, dict) and query.get("operator") == "AND":
            conditions = query["value"]
        if not all(isinstance(one, dict) and one.get("operator") == "=" for one in conditions):
            raise Refused(400, "parameter_invalid", "query is not valid")
        found = [
            _shown(one)
            for one in self._active()
            if one.searchable
            and all(
                _equal(getattr(one, asked["field"], None), asked["value"]) for asked in conditions
            )
        ]
        pages = {"type": "pages", "page": 1, "per_page": paging.get("per_page", 50)}
        shown = found[: pages["per_page"]]
        told = {"type": "list", "data": shown, "total_count": len(found), "pages": pages}
        return json_answer(told)

    def _create(self, request: Request) -> Answer:
        body = request.body
        if not any(body.get(name) for name in ("email", "external_id", "role")):
            raise Refused(400, "parameter_not_found", "email, external_id or role is required")
        contact = Contact(uuid.uuid4().hex[:24], int(self.now()), searchable=not self.lagging)
        self._set(contact, body)
        self.contacts[contact.id] = contact
        request.stored = True
        return json_answer(_shown(contact))

    def _update(self, request: Request, id: str) -> Answer:
        contact = self._contact(id)
        self._set(contact, request.body)
        request.stored = True
        return json_answer(_shown(contact))

    def _set(self, contact: Contact, body: dict[str, JsonValue]) -> None:
        own = body.get("custom_attributes") or {}
        if not isinstance(own, dict):
            raise Refused(400, "parameter_invalid", "custom_attributes must be an object")
        for name in own:
            if name not in self.attributes:
                told = f"Custom attribute '{name}' does not exist"
                raise Refused(400, "parameter_invalid", told, "custom_attributes")
        self._check_clash(contact, body)
        for name in STANDARD:
            if name in body:
                setattr(contact, name, body[name])
        contact.custom_attributes |= own

    def _check_clash(self, contact: Contact, body: dict[str, JsonValue]) -> None:
        external_id = body.get("external_id", contact.external_id)
        email = body.get("email", contact.email)
        for one in self.contacts.values():
            if one.id == contact.id or one.role != "user":
                continue
            same = external_id is not None and one.external_id == external_id
            vague = one.external_id is None or external_id is None
            if same or (vague and email is not None and _equal(one.email, email)):
                kind = "An archived" if one.archived else "A"
                told = f"{kind} contact matching those details already exists with id={one.id}"
                raise Refused(409, "conflict", told)

    def _tag(self, request: Request, id: str) -> Answer:
        contact, tag = self._contact(id), str(request.body.get("id"))
        if tag not in self.tags:
            raise Refused(404, "not_found", "Resource Not Found")
        contact.tags.add(tag)
        request.stored = True
        return json_answer({"type": "tag", "id": tag, "name": self.tags[tag]})

    def _untag(self, request: Request, id: str, tag: str) -> Answer:
        contact = self._contact(id)
        if tag not in contact.tags:
            raise Refused(404, "not_found", "Resource Not Found")
        contact.tags.remove(tag)
        request.stored = True
        return json_answer({"type": "tag", "id": tag, "name": self.tags.get(tag, "")})

    def _event(self, request: Request) -> Answer:
        body = request.body
        name, at = body.get("event_name"), body.get("created_at")
        if not isinstance(name, str) or not name or not isinstance(at, int):
            raise Refused(400, "parameter_invalid", "event_name and created_at are required")
        keys = {"user_id": "external_id", "id": "id", "email": "email"}
        given = next((key for key in keys if body.get(key)), None)
        if given is None:
            raise Refused(400, "parameter_not_found", "id, user_id or email is required")
        named = [one for one in self._active() if _equal(getattr(one, keys[given]), body[given])]
        if not named:
            raise Refused(404, "not_found", "User Not Found")
        if len(named) > 1:
            raise Refused(409, "conflict", "Multiple existing users match this email address")
        metadata = body.get("metadata")
        kept = dict(list(metadata.items())[:MAX_METADATA]) if isinstance(metadata, dict) else {}
        one = Occurrence(name, named[0].external_id or named[0].id, at, kept)
        same = (one.name, one.person, one.created_at)
        if same not in {(other.name, other.person, other.created_at) for other in self.occurrences}:
            self.occurrences.append(one)
            request.stored = True
        return Answer(202)

    def _tags(self, request: Request) -> Answer:
        listed = [{"type": "tag", "id": id, "name": name} for id, name in self.tags.items()]
        return json_answer({"type": "list", "data": listed})

    def _attributes(self, request: Request) -> Answer:
        standard = [_attribute(name, "string", custom=False) for name in STANDARD]
        own = [_attribute(name, type, custom=True) for name, type in self.attributes.items()]
        return json_answer({"type": "list", "data": [*standard, *own]})


# By name: the method and the path. Of two that fit, the first is meant.
_CALLS: Calls = {
    "me": ("GET", "/me"),
    "find": ("GET", "/contacts/find_by_external_id/([^/]+)"),
    "get": ("GET", "/contacts/([^/]+)"),
    "search": ("POST", "/contacts/search"),
    "create": ("POST", "/contacts"),
    "update": ("PUT", "/contacts/([^/]+)"),
    "tag": ("POST", "/contacts/([^/]+)/tags"),
    "untag": ("DELETE", "/contacts/([^/]+)/tags/([^/]+)"),
    "event": ("POST", "/events"),
    "tags": ("GET", "/tags"),
    "attributes": ("GET", "/data_attributes"),
}
READS = ("find", "get", "search")


class IntercomSimulator(VendorSimulator[IntercomService]):
    label = "Intercom"
    regions = ("us", "eu", "au")
    calls = tuple(_CALLS)
    credentials = "tokens"

    def __init__(self) -> None:
        super().__init__(IntercomService)


def _equal(value: object, wanted: object) -> bool:
    """Compare as Intercom does, texts in any case."""
    return str(value).lower() == str(wanted).lower() if value is not None else wanted is None


def _shown(contact: Contact) -> dict[str, JsonValue]:
    return {
        "type": "contact",
        "id": contact.id,
        "workspace_id": "simulated",
        "external_id": contact.external_id,
        "role": contact.role,
        "email": contact.email,
        "name": contact.name,
        "phone": contact.phone,
        "unsubscribed_from_emails": contact.unsubscribed_from_emails,
        "created_at": contact.created_at,
        "updated_at": contact.created_at,
        "custom_attributes": {**contact.custom_attributes},
    }


def _attribute(name: str, type: str, *, custom: bool) -> dict[str, JsonValue]:
    return {
        "type": "data_attribute",
        "model": "contact",
        "name": name,
        "full_name": f"custom_attributes.{name}" if custom else name,
        "label": name.replace("_", " ").capitalize(),
        "description": "",
        "data_type": type,
        "api_writable": True,
        "custom": custom,
        "archived": False,
    }
