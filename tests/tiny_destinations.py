"""Three destinations of nobody's: one call; identify and track; a read before the write.

Each is all that a destination consists of, and stands outside the tree that it is added to.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
from pydantic import SecretStr

from delivery.credential import Credential
from delivery.errors import MappingError
from delivery.event import Event
from delivery.mapping import map_fields
from delivery.message import Message, Messages
from delivery.outcome import Outcome
from delivery.rule import Flag, MatchedRule, RuleMetadata
from destinations.destination import (
    Action,
    Destination,
    Field,
    MappingField,
    Option,
    Verdict,
    Verification,
)
from destinations.http.exchange import Answer, Http


def read_address(text: str) -> str:
    if not text.startswith("http://"):
        raise ValueError("must begin with http://")
    return text.rstrip("/")


ADDRESS = Field("address", "Address", read=read_address, help="Where it listens.")
TOKEN = Field("token", "Token", kind="password")


class Note(RuleMetadata):
    title: str = "A note"
    urgent: Flag = False


def build_note(event: Event, rule: MatchedRule) -> Messages:
    note = Note.model_validate(rule.metadata.model_dump())
    body = {"title": note.title, "urgent": note.urgent, "event": event.event}
    return Messages(messages=(Message(call="send", body=body),))


NOTES = Destination(
    type="tiny_notes",
    label="Tiny Notes",
    client="tests.tiny_destinations:TinyClient",
    fields=(
        ADDRESS,
        Field(
            "scheme",
            "Authentication",
            kind="select",
            default="none",
            options=(Option("none", "None"), Option("basic", "Basic")),
        ),
        Field("user", "User", only_with=("scheme", ("basic",))),
        Field("password", "Password", kind="password", only_with=("scheme", ("basic",))),
        Field("seal", "Seal", kind="password", required=False),
    ),
    actions=(
        Action(
            key="send_note",
            label="Send note",
            noun="Note",
            description="Send one note.",
            calls=("send",),
            build=build_note,
            metadata=Note,
            inputs=(Field("title", "Title", default="A note"),),
        ),
    ),
    authentication="basic",
)


def build_person(event: Event, rule: MatchedRule) -> Messages:
    mapped = map_fields(rule.mapping or PEOPLE.default_mapping, event.payload).values
    if not mapped.get("email"):
        raise MappingError("email", "is missing: map it")
    person = {"email": mapped["email"]}
    return Messages(
        messages=(
            Message(call="identify", body={**person, "name": mapped.get("name")}),
            Message(call="track", body={**person, "event": event.event}),
        )
    )


PEOPLE = Destination(
    type="tiny_people",
    label="Tiny People",
    client="tests.tiny_destinations:TinyClient",
    fields=(ADDRESS, TOKEN),
    actions=(
        Action(
            key="record",
            label="Record",
            noun="Event",
            description="Identify the person, then track the event.",
            calls=("identify", "track"),
            build=build_person,
        ),
    ),
    mapping_fields=(
        MappingField("email", "E-mail address", "Identifies the person.", format="email"),
        MappingField("name", "Name", "What the person is called.", largest=100),
    ),
)


def build_tag(event: Event, rule: MatchedRule) -> Messages:
    mapped = map_fields(rule.mapping or TAGS.default_mapping, event.payload).values
    if not mapped.get("email"):
        raise MappingError("email", "is missing: map it")
    body = {"email": mapped["email"], "tag": event.event}
    return Messages(messages=(Message(call="track", body=body),))


TAGS = Destination(
    type="tiny_tags",
    label="Tiny Tags",
    client="tests.tiny_destinations:LookingUpClient",
    fields=(ADDRESS, TOKEN),
    actions=(
        Action(
            key="add_tag",
            label="Add tag",
            noun="Tag",
            description="Add a tag to the person.",
            calls=("track",),
            build=build_tag,
        ),
    ),
    mapping_fields=(MappingField("email", "E-mail address", "Whom to tag.", format="email"),),
)

TINY = (NOTES, PEOPLE, TAGS)


class TinyClient:
    """Posts each message to `<address>/<call>`."""

    def __init__(self, http: Http, base_urls: Mapping[str, str], *, agent: str) -> None:
        self._http = http

    async def send(self, message: Message, credential: Credential) -> Outcome:
        return await self._post(f"/{message.call}", message, credential)

    async def verify(self, credential: Credential) -> Verification:
        asked = await self._ask("GET", "/verify", credential)
        if asked.status_code == 200:
            return Verification(Verdict.RIGHT, "The credential is right.")
        return Verification(Verdict.WRONG_KEY, "The credential is wrong.")

    async def _post(self, path: str, message: Message, credential: Credential) -> Outcome:
        answer = await self._ask("POST", path, credential, message.encode())
        return answer.outcome(secrets=credential.secrets.values(), sent=())

    async def _ask(
        self, method: str, path: str, credential: Credential, content: bytes = b""
    ) -> Answer:
        url = httpx.URL(credential.settings["address"] + path)
        headers = {"Authorization": authorization(credential)}
        return await self._http.ask(method, url, headers, content, anywhere=True)


class LookingUpClient(TinyClient):
    """Finds the person's number first: it is part of the address, not of the message."""

    async def send(self, message: Message, credential: Credential) -> Outcome:
        person = await self._ask("GET", f"/people/{message.body['email']}", credential)
        number = json.loads(person.body)["number"]
        return await self._post(f"/people/{number}/tags", message, credential)


def authorization(credential: Credential) -> str:
    secrets: Mapping[str, SecretStr] = credential.secrets
    if "token" in secrets:
        return f"Bearer {secrets['token'].get_secret_value()}"
    if "password" in secrets:
        pair = f"{credential.settings['user']}:{secrets['password'].get_secret_value()}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    return "none"


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    authorization: str
    body: Any


@contextmanager
def receiver() -> Iterator[tuple[str, list[Received]]]:
    """A listening receiver for all three: its address, and what it was sent."""
    received: list[Received] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({"number": 7})

        def do_POST(self) -> None:
            self._answer({})

        def _answer(self, body: Any) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received.append(
                Received(
                    self.command,
                    self.path,
                    self.headers["Authorization"],
                    json.loads(content) if content else None,
                )
            )
            encoded = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
