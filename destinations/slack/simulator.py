"""A Slack on loopback: posts messages, lists channels, and says what is wrong in its own way.

It behaves as far as Slack's reference and its Python client say; nothing in it was compared with
the live service. Almost every failure is `"ok": false` in a 200.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from pydantic import JsonValue

from destinations.simulator import Answer, Request, VendorSimulator, json_answer
from destinations.simulator.per_second import PerSecond

SCOPES = "chat:write,channels:read,groups:read"
TOKEN = "xoxb-simulated"  # noqa: S105  opens this simulator only
GENERAL = "C0000000001"

LARGEST_TEXT = 40_000
LARGEST_PAGE = 1_000


@dataclass
class Channel:
    id: str
    name: str
    archived: bool = False
    member: bool = True
    """Whether the app is in it."""


@dataclass(frozen=True)
class Posted:
    """A message as it was posted."""

    channel: str
    text: str
    ts: str


@dataclass
class SlackService:
    """`tokens` maps each token to its scopes, or to the error that it is refused with.

    `per_channel` is how many messages a second are posted to a channel; further ones get 429 and a
    `Retry-After` of `retry_after` seconds.
    """

    tokens: dict[str, str] = field(default_factory=lambda: {TOKEN: SCOPES})
    channels: dict[str, Channel] = field(
        default_factory=lambda: {GENERAL: Channel(GENERAL, "general")}
    )
    messages: list[Posted] = field(default_factory=list)
    per_channel: int | None = None
    retry_after: int = 1
    _rate: PerSecond = field(default_factory=PerSecond)

    def accepts(self, region: str) -> str:
        return f"token {', '.join(self.tokens)}"

    def call_of(self, request: Request) -> str:
        return request.path.rpartition("/")[2]

    def key_of(self, request: Request) -> str | None:
        return request.bearer or _arguments(request).get("token")

    def handle(self, request: Request) -> Answer:
        methods = {
            "api.test": lambda _: _ok(),
            "auth.test": self._auth_test,
            "chat.postMessage": self._post_message,
            "conversations.list": self._list,
        }
        method = methods.get(request.call)
        if method is None:
            return _refused("unknown_method")
        if (refused := self._refused(request)) is not None:
            return refused
        answer = method(request)
        scopes = ("X-OAuth-Scopes", self.tokens[str(request.key)])
        return Answer(answer.status, answer.body, (*answer.headers, scopes))

    def _refused(self, request: Request) -> Answer | None:
        needed = {"chat.postMessage": "chat:write", "conversations.list": "channels:read"}
        if request.key is None:
            return _refused("not_authed")
        scopes = self.tokens.get(request.key, "invalid_auth")
        if ":" not in scopes:
            return _refused(scopes)
        if (scope := needed.get(request.call)) and scope not in scopes.split(","):
            return _refused("missing_scope", needed=scope, provided=scopes)
        return None

    def _auth_test(self, request: Request) -> Answer:
        return _ok(
            url="https://acme.slack.com/",
            team="Acme",
            user="emitonce",
            team_id="T0000000001",
            user_id="U0000000001",
            bot_id="B0000000001",
            is_enterprise_install=False,
        )

    def _post_message(self, request: Request) -> Answer:
        arguments = _arguments(request)
        channel = self.channels.get(str(arguments.get("channel", "")))
        text = arguments.get("text")
        if channel is None:
            return _refused("channel_not_found")
        if channel.archived:
            return _refused("is_archived")
        if not channel.member:
            return _refused("not_in_channel")
        if not isinstance(text, str) or not text.strip():
            return _refused("no_text")
        if self._rate.exceeded(self.per_channel, channel.id):
            retry = ("Retry-After", str(self.retry_after))
            return Answer(429, _json(ok=False, error="ratelimited"), (retry,))
        posted = Posted(channel.id, text[:LARGEST_TEXT], f"{time.time():.6f}")
        self.messages.append(posted)
        request.stored = True
        message = {"type": "message", "subtype": "bot_message", "text": posted.text}
        return _ok(channel=channel.id, ts=posted.ts, message={**message, "ts": posted.ts})

    def _list(self, request: Request) -> Answer:
        arguments = _arguments(request)
        try:
            start, size = int(arguments.get("cursor") or 0), int(arguments.get("limit") or 100)
        except ValueError:
            return _refused("invalid_cursor")
        archived = str(arguments.get("exclude_archived")).lower() in ("true", "1")
        found = [one for one in self.channels.values() if not (archived and one.archived)]
        end = start + min(size, LARGEST_PAGE)
        return _ok(
            channels=[_channel(one) for one in found[start:end]],
            response_metadata={"next_cursor": str(end) if end < len(found) else ""},
        )

    def state(self) -> dict[str, JsonValue]:
        return {
            "messages": [
                {"channel": one.channel, "text": one.text, "ts": one.ts} for one in self.messages
            ],
            "channels": [_channel(one) for one in self.channels.values()],
        }


class SlackSimulator(VendorSimulator[SlackService]):
    label = "Slack"
    base_path = "/api"
    calls = ("api.test", "auth.test", "chat.postMessage", "conversations.list")
    credentials = "tokens"

    def __init__(self) -> None:
        super().__init__(SlackService)


def _arguments(request: Request) -> Mapping[str, Any]:
    """Arguments of the query, and those of a body in JSON or as a form."""
    if (request.header("content-type") or "").startswith("application/json"):
        return {**request.query, **request.body}
    return {**request.query, **dict(parse_qsl(request.content.decode(errors="replace")))}


def _channel(channel: Channel) -> dict[str, JsonValue]:
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": True,
        "is_archived": channel.archived,
        "is_member": channel.member,
    }


def _ok(**found: Any) -> Answer:
    return json_answer({"ok": True, **found})


def _refused(error: str, **more: str) -> Answer:
    return json_answer({"ok": False, "error": error, **more})


def _json(**found: Any) -> bytes:
    return json.dumps(found).encode()
