"""Slack's Web API: one request posts one message."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from typing import Any

from delivery.credential import Credential
from delivery.message import Message
from delivery.outcome import Outcome
from destinations.destination import NotListed, Option, Verdict, Verification
from destinations.http.redaction import MIN_VALUE
from destinations.http.vendor_client import VendorClient
from destinations.slack.destination import TOKEN, TOKEN_REFUSED, error_of, judge, read_answer

JSON = "application/json; charset=utf-8"  # without a charset Slack answers with a warning

# Slack recommends no more than 200 a page.
CHANNELS_PER_PAGE = 200
MOST_PAGES = 5
LARGEST_PAGE = 1024 * 1024  # bytes


class SlackClient(VendorClient):
    """Posts messages, checks tokens, lists channels. It never waits and never tries twice."""

    vendor = "Slack"
    vendor_url = "https://slack.com/api"
    token = TOKEN
    kept = ("ok", "error", "needed", "provided", "channel", "ts")  # also of a refusal

    async def send(self, message: Message, credential: Credential) -> Outcome:
        """Make exactly one request.

        Raises:
            NoReply: no status came within the time, or the connection failed.
        """
        answer = await self._ask(
            "POST",
            "chat.postMessage",
            credential,
            message.encode(),
            headers={"Content-Type": JSON},
        )
        found = read_answer(answer.body)
        if found is not None:
            answer = answer.keeping(found, self.kept)
        outcome = answer.outcome(secrets=credential.secrets.values(), sent=_sent(message))
        return judge(outcome, found)

    async def _probe(self, credential: Credential) -> Verification:
        """Ask Slack whose token it is."""
        answer = await self._ask("POST", "auth.test", credential)
        found = read_answer(answer.body)
        if answer.status_code != 200 or found is None:
            return self._unchecked(f"answered with {answer.status_code}")
        if not found["ok"]:
            error = error_of(found)
            wrong = error in TOKEN_REFUSED
            verdict = Verdict.WRONG_KEY if wrong else Verdict.UNKNOWN
            return Verification(verdict, f"Slack does not accept this token: {error}")
        scopes = answer.headers.get("x-oauth-scopes")
        if scopes is not None and "chat:write" not in scopes.replace(" ", "").split(","):
            told = "this token lacks the scope chat:write; add it and install the app again"
            return Verification(Verdict.WRONG_KEY, told)
        return Verification(Verdict.RIGHT, "Slack accepts this token")

    async def options(self, credential: Credential, kind: str) -> tuple[Option, ...]:
        """List the channels that aren't archived, the first thousand. Only `channels` are listed.

        Raises:
            NotListed: they can't be read.
            NoReply: no status came within the time, or the connection failed.
        """
        channels: list[Option] = []
        asked = {
            "types": "public_channel,private_channel",
            "exclude_archived": "true",
            "limit": str(CHANNELS_PER_PAGE),
        }
        for _ in range(MOST_PAGES):
            answer = await self._ask(
                "GET", "conversations.list", credential, query=asked, largest=LARGEST_PAGE
            )
            found = read_answer(answer.body)
            if found is not None and not found["ok"]:
                raise NotListed(f"Slack says {error_of(found)}")
            if found is None or not isinstance(found.get("channels"), list):
                raise NotListed(f"Slack's answer, {answer.status_code}, can't be read")
            channels += _channels(found["channels"])
            more = found.get("response_metadata")
            cursor = more.get("next_cursor") if isinstance(more, dict) else None
            if not cursor or not isinstance(cursor, str):
                break
            asked["cursor"] = cursor
        return tuple(channels)


def _sent(message: Message) -> Iterator[str]:
    """Yield the text and its words: other answers may quote it, whole or in part."""
    escaped = str(message.body["text"])
    for text in (escaped, unescape(escaped)):
        yield text
        yield from (word for word in text.split() if len(word) >= MIN_VALUE)


def _channels(found: list[Any]) -> Iterator[Option]:
    for one in found:
        if isinstance(one, dict) and isinstance(id := one.get("id"), str):
            yield Option(id, f"#{one.get('name') or id}")
