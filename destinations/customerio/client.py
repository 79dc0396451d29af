"""The Customer.io Pipelines API: one request for one message.

Sources: the Pipelines API reference for hosts, Basic authentication and `X-Strict-Mode`. Without
that header a wrong key and an invalid message are answered with 200 and dropped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

import httpx
from pydantic import JsonValue, SecretStr

from delivery.attempt import Call
from delivery.message import Message
from delivery.outcome import Reply
from destinations.customerio.destination import API_KEY, REGION, VENDOR_URLS
from destinations.customerio.verify import verify
from destinations.destination import Credential, Verification
from destinations.http.addresses import names_own_network
from destinations.http.errors import NotSent
from destinations.http.exchange import TOTAL_TIMEOUT_SECONDS, Http
from destinations.http.redaction import strings

CALLS: tuple[Call, ...] = ("identify", "track")


class CustomerIOClient:
    """Sends messages. Never waits and never tries twice: that is the caller's."""

    def __init__(
        self,
        http: Http,
        base_urls: Mapping[str, str],
        *,
        total_timeout: float = TOTAL_TIMEOUT_SECONDS,
        agent: str = "emitonce",
    ) -> None:
        """`base_urls` replace the vendor's, by region, each ending in the API's version.

        The timeout is in seconds.

        `agent` is the `User-Agent` of every request.

        Raises:
            ValueError: a base URL is not one.
        """
        for region in base_urls.keys() - VENDOR_URLS.keys():
            raise ValueError(f"base URL of region {region!r}: Customer.io has no such region")
        self._http = http
        self._urls = {
            region: {call: httpx.URL(f"{_base_url(region, url)}/{call}") for call in CALLS}
            for region, url in {**VENDOR_URLS, **base_urls}.items()
        }
        self._agent = agent
        self._total_timeout = total_timeout

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(self._urls)

    async def send(self, message: Message, credential: Credential) -> Reply:
        """Make exactly one request.

        Raises:
            NoReply: no status came within the time, or the connection failed.
        """
        region, api_key = credential.settings[REGION], credential.secrets[API_KEY]
        urls = self._urls.get(region)
        if urls is None:
            raise NotSent(f"region {region!r}")
        url = urls[message.call]
        answer = await self._http.ask(
            "POST",
            url,
            _headers(api_key, self._agent),
            message.encode(),
            # A base URL of the own network is an operator's; the vendor's must be public.
            anywhere=names_own_network(url.host),
            name=message.call,
            seconds=self._total_timeout,
        )
        return answer.reply(secrets=(api_key,), sent=_identifying(message.body))

    async def probe(self, credential: Credential) -> Reply:
        """Send an empty identify, which strict mode refuses, so that nothing is written.

        Raises:
            NoReply: as `send`.
        """
        return await self.send(Message(call="identify", body={}), credential)

    async def verify(self, credential: Credential) -> Verification:
        return await verify(self, credential)


def _headers(api_key: SecretStr, agent: str) -> dict[str, str]:
    user_and_password = base64.b64encode(f"{api_key.get_secret_value()}:".encode()).decode()
    return {
        "Authorization": f"Basic {user_and_password}",
        "X-Strict-Mode": "1",
        "Content-Type": "application/json",
        "Accept": "application/json",
        "User-Agent": agent,
    }


def _identifying(body: Mapping[str, JsonValue]) -> Iterator[str]:
    """What of a request's body identifies a person: the ids, and traits' strings at any depth."""
    for name in ("userId", "anonymousId"):
        value = body.get(name)
        if isinstance(value, str) and value.strip():
            yield value
    yield from strings(body.get("traits"))


def _base_url(region: str, text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise ValueError(f"base URL of region {region!r} is not a URL") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"base URL of region {region!r} must begin with https:// and name a host")
    if url.userinfo or url.query or url.fragment:
        raise ValueError(f"base URL of region {region!r} must have no user, query or fragment")
    return text.rstrip("/")
