"""The Customer.io Pipelines API: one request for one message, bounded in time and size.

Sources: the Pipelines API reference for hosts, Basic authentication and `X-Strict-Mode`. Without
that header a wrong key and an invalid message are answered with 200 and dropped.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from pydantic import JsonValue, SecretStr

from delivery.attempt import Call
from delivery.message import Message
from delivery.outcome import Reply
from destinations.customerio.addresses import PublicResolver
from destinations.customerio.errors import HTTP_ERRORS, AnswerTimeout, NotSent, no_reply
from destinations.customerio.redaction import redact

VENDOR_URLS: Mapping[str, str] = MappingProxyType(
    {"us": "https://cdp.customer.io/v1", "eu": "https://cdp-eu.customer.io/v1"}
)
CALLS: tuple[Call, ...] = ("identify", "track")
CONNECT_TIMEOUT_SECONDS = 3.0
TOTAL_TIMEOUT_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 20.0
MAX_RESPONSE_BYTES = 64 * 1024
MAX_EXCERPT = 2_000
# A span for each request, where the process has a collector of traces; else nothing. The vendor is
# told nothing of it.
_TRACER = trace.get_tracer("emitonce.customerio")


class Credential(Protocol):
    """What a request is made with; the catalog's `Credential` is one."""

    @property
    def region(self) -> str: ...

    @property
    def api_key(self) -> SecretStr: ...


def open_transport(max_connections: int = 100) -> httpx.AsyncBaseTransport:
    """The connections that all requests of a process share; close it with `aclose()`.

    `max_connections` should be no less than the requests a worker has in flight. Environment
    variables for proxies, certificates and netrc files are ignored: keys go to the configured
    hosts only. The transport is aiohttp's, which takes a seventh of the CPU of httpx's own.

    Used as it is, without a client around it: nothing follows redirects, keeps cookies that may
    belong to another tenant, or adds headers.
    """
    tls = httpx.create_ssl_context(trust_env=False)

    def session() -> aiohttp.ClientSession:  # made in the event loop that uses it
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=max_connections,
                keepalive_timeout=KEEP_ALIVE_SECONDS,
                resolver=PublicResolver(),
                ssl=tls,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    return AiohttpTransport(verify=tls, client=session)


class CustomerIOClient:
    """Sends messages. Never waits and never tries twice: that is the caller's."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        base_urls: Mapping[str, str] = VENDOR_URLS,
        *,
        total_timeout: float = TOTAL_TIMEOUT_SECONDS,
        connect_timeout: float = CONNECT_TIMEOUT_SECONDS,
        agent: str = "emitonce",
    ) -> None:
        """`base_urls` by region, each ending in the API's version; timeouts in seconds.

        `agent` is the `User-Agent` of every request.

        Raises:
            ValueError: a base URL is not one.
        """
        self._transport = transport
        self._urls = {
            region: {call: httpx.URL(f"{_base_url(region, url)}/{call}") for call in CALLS}
            for region, url in base_urls.items()
        }
        self._agent = agent
        self._total_timeout = total_timeout
        timeouts = httpx.Timeout(total_timeout, connect=min(connect_timeout, total_timeout))
        self._extensions = {"timeout": timeouts.as_dict()}

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(self._urls)

    async def send(self, message: Message, credential: Credential) -> Reply:
        """Make exactly one request.

        Once a status has come, it is the reply, even where the body breaks off or is cut at
        64 KiB. `Reply.body` is an excerpt of at most 2,000 characters, redacted.

        Raises:
            NoReply: no status came within the time, or the connection failed.
        """
        exchange = await self._post(message.call, message.encode(), credential)
        return exchange.reply(credential.api_key, message.body)

    async def probe(self, credential: Credential) -> Reply:
        """Send an empty identify, which strict mode refuses, so that nothing is written.

        Raises:
            NoReply: as `send`.
        """
        exchange = await self._post("identify", b"{}", credential)
        return exchange.reply(credential.api_key, {})

    async def _post(self, call: Call, content: bytes, credential: Credential) -> _Exchange:
        urls = self._urls.get(credential.region)
        if urls is None:
            raise NotSent(f"region {credential.region!r}")
        request = httpx.Request(
            "POST",
            urls[call],
            headers=_headers(credential.api_key, self._agent),
            content=content,
            extensions=self._extensions,
        )
        exchange = _Exchange(self._transport, request)
        with _TRACER.start_as_current_span(
            f"POST {call}",
            kind=SpanKind.CLIENT,
            attributes={"http.request.method": "POST", "server.address": request.url.host},
            record_exception=False,
        ) as span:
            await self._exchange(exchange, request.url.host)
            if exchange.response is not None:
                span.set_attribute("http.response.status_code", exchange.response.status_code)
        return exchange

    async def _exchange(self, exchange: _Exchange, host: str) -> None:
        try:
            async with asyncio.timeout(self._total_timeout):
                await exchange.run()
        except TimeoutError:
            exchange.broken = True
            if exchange.response is None:
                raise AnswerTimeout(host) from None
        except HTTP_ERRORS as err:
            exchange.broken = True
            if exchange.response is None:
                raise no_reply(err, host) from None
        finally:
            await exchange.close()


class _Exchange:
    """A request and as much of its answer as came."""

    def __init__(self, transport: httpx.AsyncBaseTransport, request: httpx.Request) -> None:
        self.response: httpx.Response | None = None
        self.broken = False
        self._transport = transport
        self._request = request
        self._body = bytearray()

    async def run(self) -> None:
        self.response = await self._transport.handle_async_request(self._request)
        async for chunk in self.response.aiter_raw():
            self._body += chunk
            if len(self._body) > MAX_RESPONSE_BYTES:
                del self._body[MAX_RESPONSE_BYTES:]
                self.broken = True
                return

    async def close(self) -> None:
        if self.response is not None:
            await self.response.aclose()

    def reply(self, api_key: SecretStr, sent: Mapping[str, JsonValue]) -> Reply:
        assert self.response is not None
        return Reply(
            status_code=self.response.status_code,
            body=self._excerpt(self.response, api_key, sent),
            retry_after=self.response.headers.get("retry-after"),
        )

    def _excerpt(
        self, response: httpx.Response, api_key: SecretStr, sent: Mapping[str, JsonValue]
    ) -> str:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", ""):
            # Not asked for; unpacking 64 KiB could make anything of it.
            return "[packed answer, not shown]"
        text = self._body.decode(errors="replace")
        text = redact(text, api_key=api_key, body=sent, cut=self.broken)
        if len(text) > MAX_EXCERPT or self.broken:
            return text[: MAX_EXCERPT - 1] + "…"
        return text


def _headers(api_key: SecretStr, agent: str) -> dict[str, str]:
    user_and_password = base64.b64encode(f"{api_key.get_secret_value()}:".encode()).decode()
    return {
        "Authorization": f"Basic {user_and_password}",
        "X-Strict-Mode": "1",
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": agent,
    }


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
