"""A Resend on loopback: keeps contacts and segments, sends mails once for each idempotency key.

It behaves as far as Resend's documentation, its API description and its Python client say; nothing
in it was compared with the live service. What happens to a creation of a contact that exists is
published nowhere: `existing` chooses.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote

from pydantic import JsonValue

from destinations.simulator import Answer, Request, VendorSimulator, json_answer
from destinations.simulator.calls import Calls, find_call
from destinations.simulator.per_second import PerSecond

KEY = "re_simulated"
FULL, SENDING = "full_access", "sending_access"
SEGMENT = "78261eea-8f8b-4381-83c6-79fa7120f1cf"
TEMPLATE = "34a080c9-b17d-4187-ad80-5af20266e535"

IDEMPOTENCY_SECONDS = 24 * 60 * 60
LONGEST_IDEMPOTENCY_KEY = 256
LARGEST_PAGE = 100

_CALLS: Calls = {
    "contacts.get": ("GET", "/contacts/[^/]+"),
    "contacts.create": ("POST", "/contacts"),
    "contacts.update": ("PATCH", "/contacts/[^/]+"),
    "segments.add": ("POST", "/contacts/[^/]+/segments/[^/]+"),
    "segments.remove": ("DELETE", "/contacts/[^/]+/segments/[^/]+"),
    "emails.send": ("POST", "/emails"),
    "events.send": ("POST", "/events/send"),
    "segments.list": ("GET", "/segments"),
    "templates.list": ("GET", "/templates"),
    "contact-properties.list": ("GET", "/contact-properties"),
}


@dataclass
class Contact:
    email: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    first_name: str | None = None
    last_name: str | None = None
    unsubscribed: bool = False
    properties: dict[str, JsonValue] = field(default_factory=dict)
    segments: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Template:
    """`variables` must be given with each mail. Without a sender or a subject, the mail has one."""

    id: str
    name: str
    published: bool = True
    variables: tuple[str, ...] = ()
    sender: str | None = "Acme <onboarding@resend.dev>"
    subject: str | None = "Hello"


@dataclass(frozen=True)
class _Sent:
    """What was answered to an idempotency key."""

    raw: bytes
    answer: Answer
    at: float


class Refused(Exception):
    def __init__(self, status: int, name: str, message: str, **headers: str) -> None:
        super().__init__(message)
        body = {"statusCode": status, "name": name, "message": message}
        plain = json_answer(body, status=status)
        self.answer = Answer(status, plain.body, tuple(headers.items()))


@dataclass
class ResendService:
    """`keys` maps each key to its permission, or to the error that it is refused with.

    `per_second` is how many requests a second are answered, if limited. With `quota`, the name of
    an error, no mail is accepted.
    """

    keys: dict[str, str] = field(default_factory=lambda: {KEY: FULL})
    contacts: list[Contact] = field(default_factory=list)
    segments: dict[str, str] = field(default_factory=lambda: {SEGMENT: "Customers"})
    templates: dict[str, Template] = field(
        default_factory=lambda: {TEMPLATE: Template(TEMPLATE, "welcome")}
    )
    properties: dict[str, str] = field(default_factory=lambda: {"plan": "string"})
    mails: list[dict[str, JsonValue]] = field(default_factory=list)
    events: list[dict[str, JsonValue]] = field(default_factory=list)
    existing: Literal["conflict", "update"] = "conflict"
    per_second: int | None = None
    quota: str | None = None
    now: Callable[[], float] = time.time
    _sent: dict[str, _Sent] = field(default_factory=dict)
    _rate: PerSecond = field(default_factory=PerSecond)

    def accepts(self, region: str) -> str:
        return f"key {', '.join(self.keys)}"

    def call_of(self, request: Request) -> str:
        return find_call(_CALLS, request)[0]

    def key_of(self, request: Request) -> str | None:
        return request.bearer

    def handle(self, request: Request) -> Answer:
        handlers: Mapping[str, Callable[[Request], Answer]] = {
            "contacts.get": self._get_contact,
            "contacts.create": self._create_contact,
            "contacts.update": self._update_contact,
            "segments.add": self._add_to_segment,
            "segments.remove": self._remove_from_segment,
            "emails.send": self._send_mail,
            "events.send": self._send_event,
            "segments.list": self._list_segments,
            "templates.list": self._list_templates,
            "contact-properties.list": self._list_properties,
        }
        try:
            self._authorize(request)
            self._limit()
            if request.call not in handlers:
                raise Refused(404, "not_found", "The requested endpoint does not exist.")
            return handlers[request.call](request)
        except Refused as err:
            return err.answer

    def state(self) -> dict[str, JsonValue]:
        return {
            "contacts": [_contact(one) | {"segments": [*one.segments]} for one in self.contacts],
            "mails": [*self.mails],
            "events": [*self.events],
        }

    def contact(self, id_or_email: str) -> Contact | None:
        wanted = id_or_email.lower()
        return next((one for one in self.contacts if wanted in (one.id, one.email.lower())), None)

    def _authorize(self, request: Request) -> None:
        if request.key is None:
            raise Refused(401, "missing_api_key", "Missing API Key")
        allowed = self.keys.get(request.key, "invalid_api_key")
        if allowed == FULL or (allowed == SENDING and request.call == "emails.send"):
            return
        if allowed == SENDING:
            raise Refused(
                401, "restricted_api_key", "This API key is restricted to only send emails"
            )
        raise Refused(400 if allowed == "validation_error" else 403, allowed, "API key is invalid")

    def _limit(self) -> None:
        if self._rate.exceeded(self.per_second):
            told = "Too many requests."
            raise Refused(429, "rate_limit_exceeded", told, **{"retry-after": "1"})

    def _named(self, request: Request) -> Contact:
        if (found := self.contact(_parts(request)[1])) is None:
            raise Refused(404, "not_found", "Contact not found")
        return found

    def _get_contact(self, request: Request) -> Answer:
        return json_answer({"object": "contact", **_contact(self._named(request))})

    def _create_contact(self, request: Request) -> Answer:
        email = request.body.get("email")
        if not isinstance(email, str):
            raise Refused(422, "missing_required_field", "Missing `email` field.")
        found = self.contact(email)
        if found is not None and self.existing == "conflict":
            raise Refused(409, "validation_error", "Contact already exists")
        made = found or Contact(email)
        self._set(made, request)
        if found is None:
            self.contacts.append(made)
        return json_answer({"object": "contact", "id": made.id}, status=201)

    def _update_contact(self, request: Request) -> Answer:
        found = self._named(request)
        self._set(found, request)
        return json_answer({"object": "contact", "id": found.id})

    def _set(self, contact: Contact, request: Request) -> None:
        properties = request.body.get("properties", {})
        if not isinstance(properties, dict):
            raise Refused(422, "validation_error", "`properties` must be an object")
        for key in properties:
            if key not in self.properties:
                raise Refused(422, "validation_error", f"Property {key} does not exist")
        for key in ("first_name", "last_name", "unsubscribed"):
            if key in request.body:
                setattr(contact, key, request.body[key])
        contact.properties |= properties
        request.stored = True

    def _add_to_segment(self, request: Request) -> Answer:
        contact, segment = self._named(request), self._segment(request)
        contact.segments.add(segment)
        request.stored = True
        told = {"object": "contact_segment", "contact_id": contact.id, "segment_id": segment}
        return json_answer({"id": contact.id, **told})

    def _remove_from_segment(self, request: Request) -> Answer:
        contact, segment = self._named(request), self._segment(request)
        contact.segments.discard(segment)
        request.stored = True
        told = {"object": "contact_segment", "contact_id": contact.id, "segment_id": segment}
        return json_answer({"id": contact.id, **told, "deleted": True})

    def _segment(self, request: Request) -> str:
        segment = _parts(request)[3]
        if segment not in self.segments:
            raise Refused(404, "not_found", "Segment not found")
        return segment

    def _send_mail(self, request: Request) -> Answer:
        key = request.header("idempotency-key")
        if key is None:
            return self._accept_mail(request)
        if not 1 <= len(key) <= LONGEST_IDEMPOTENCY_KEY:
            told = "Idempotency keys, if present, must have between 1 and 256 characters."
            raise Refused(400, "invalid_idempotency_key", told)
        before = self._sent.get(key)
        if before is not None and before.at > self.now() - IDEMPOTENCY_SECONDS:
            if before.raw != request.content:
                told = "Same idempotency key used with a different request payload."
                raise Refused(409, "invalid_idempotent_request", told)
            return before.answer
        answer = self._accept_mail(request)
        self._sent[key] = _Sent(request.content, answer, self.now())
        return answer

    def _accept_mail(self, request: Request) -> Answer:
        if self.quota is not None:
            raise Refused(429, self.quota, "You have reached your email sending quota.")
        body = request.body
        if not body.get("to"):
            raise Refused(422, "missing_required_field", "Missing `to` field.")
        template = self._template(body)
        sender = body.get("from") or (template and template.sender)
        subject = body.get("subject") or (template and template.subject)
        if not sender or not subject:
            raise Refused(422, "missing_required_field", "Missing `from` or `subject` field.")
        id = str(uuid.uuid4())
        self.mails.append({**body, "id": id, "from": sender, "subject": subject})
        request.stored = True
        return json_answer({"id": id})

    def _template(self, body: dict[str, JsonValue]) -> Template | None:
        named = body.get("template")
        if not isinstance(named, dict):
            return None
        wanted = named.get("id")
        found = next((t for t in self.templates.values() if wanted in (t.id, t.name)), None)
        if found is None or not found.published:
            raise Refused(404, "not_found", "Template not found")
        given = named.get("variables")
        known = given if isinstance(given, dict) else {}
        missing = [one for one in found.variables if one not in known]
        if missing:
            raise Refused(422, "validation_error", f"Missing variables: {', '.join(missing)}")
        return found

    def _send_event(self, request: Request) -> Answer:
        name = request.body.get("event")
        if not isinstance(name, str) or ("email" in request.body) == ("contact_id" in request.body):
            raise Refused(422, "validation_error", "Exactly one of contact_id or email is required")
        self.events.append(request.body)
        request.stored = True
        return json_answer({"object": "event", "event": name}, status=202)

    def _list_segments(self, request: Request) -> Answer:
        return _page(request, [{"id": id, "name": name} for id, name in self.segments.items()])

    def _list_templates(self, request: Request) -> Answer:
        listed = [
            {"id": one.id, "name": one.name, "status": "published" if one.published else "draft"}
            for one in self.templates.values()
        ]
        return _page(request, listed)

    def _list_properties(self, request: Request) -> Answer:
        listed = [{"id": key, "key": key, "type": type} for key, type in self.properties.items()]
        return _page(request, listed)


class ResendSimulator(VendorSimulator[ResendService]):
    label = "Resend"
    calls = tuple(_CALLS)
    credentials = "keys"

    def __init__(self) -> None:
        super().__init__(ResendService)


def _parts(request: Request) -> list[str]:
    return [unquote(part) for part in request.path.strip("/").split("/")]


def _contact(contact: Contact) -> dict[str, JsonValue]:
    return {
        "id": contact.id,
        "email": contact.email,
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "unsubscribed": contact.unsubscribed,
        "properties": contact.properties,
    }


def _page(request: Request, items: list[dict[str, Any]]) -> Answer:
    after = request.query.get("after")
    start = next((n + 1 for n, one in enumerate(items) if one["id"] == after), 0)
    end = start + min(int(request.query.get("limit", 20)), LARGEST_PAGE)
    return json_answer({"object": "list", "has_more": end < len(items), "data": items[start:end]})
