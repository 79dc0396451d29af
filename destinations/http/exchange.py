"""One request and its answer, bounded in time and size. Shared by all destinations.

Nothing follows redirects, unpacks answers, keeps cookies that may belong to another tenant, reads
proxies, certificates or passwords from the environment, or adds headers.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType

import aiohttp
import httpx
from aiohttp.connector import SocketFactoryType
from httpx_aiohttp import AiohttpTransport
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from pydantic import SecretStr

from delivery.outcome import Reply
from destinations.http.addresses import public_socket
from destinations.http.errors import HTTP_ERRORS, AnswerTimeout, no_reply
from destinations.http.redaction import redact

CONNECT_TIMEOUT_SECONDS = 3.0
TOTAL_TIMEOUT_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 20.0
MAX_RESPONSE_BYTES = 64 * 1024
MAX_EXCERPT = 2_000
# A span for each request, where the process has a collector of traces; else nothing. The receiver
# is told nothing of it.
_TRACER = trace.get_tracer("emitonce.destinations")


@dataclass(frozen=True)
class Answer:
    """A status and as much of the body as was read. `cut`: the body's end is missing."""

    status_code: int
    headers: httpx.Headers
    body: bytes
    cut: bool

    def reply(self, *, secrets: Iterable[SecretStr], sent: Iterable[str]) -> Reply:
        """Keep an excerpt of at most 2,000 characters without `secrets` and what was `sent`."""
        return Reply(
            status_code=self.status_code,
            body=self._excerpt(secrets, sent),
            retry_after=self.headers.get("retry-after"),
        )

    def _excerpt(self, secrets: Iterable[SecretStr], sent: Iterable[str]) -> str:
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", ""):
            # Not asked for; unpacking 64 KiB could make anything of it.
            return "[packed answer, not shown]"
        text = self.body.decode(errors="replace")
        text = redact(text, secrets=secrets, sent=sent, cut=self.cut)
        if len(text) > MAX_EXCERPT or self.cut:
            return text[: MAX_EXCERPT - 1] + "…"
        return text


class Http:
    """The connections that all requests of a process share, in two pools: one to public addresses,
    one to anywhere. Close it, or use it as a context manager.

    Connections are aiohttp's, which takes a seventh of the CPU of httpx's own.
    """

    def __init__(self, max_connections: int = 100, tls: ssl.SSLContext | None = None) -> None:
        """`max_connections`, of each pool, should be no less than the requests in flight."""
        self._tls = tls or httpx.create_ssl_context(trust_env=False)
        self._public = self._pool(max_connections, public_socket)
        self._anywhere = self._pool(max_connections)

    def _pool(
        self, max_connections: int, socket_factory: SocketFactoryType | None = None
    ) -> AiohttpTransport:
        def session() -> aiohttp.ClientSession:  # made in the event loop that uses it
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=max_connections,
                    keepalive_timeout=KEEP_ALIVE_SECONDS,
                    socket_factory=socket_factory,
                    ssl=self._tls,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )

        return AiohttpTransport(verify=self._tls, client=session)

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._public.aclose()
        await self._anywhere.aclose()

    async def ask(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        content: bytes = b"",
        *,
        anywhere: bool = False,
        name: str | None = None,
        seconds: float = TOTAL_TIMEOUT_SECONDS,
    ) -> Answer:
        """Make exactly one request. Once a status has come, it is the answer, even where the body
        breaks off or is cut at 64 KiB.

        `anywhere` is for hosts that an operator has named; without it the host's address must be
        public. `name` says in traces what the request is for.

        Raises:
            NoReply: no status came within `seconds`, or the connection failed.
        """
        timeouts = httpx.Timeout(seconds, connect=min(CONNECT_TIMEOUT_SECONDS, seconds))
        request = httpx.Request(
            method,
            url,
            headers={"Accept-Encoding": "identity", **headers},
            content=content,
            extensions={"timeout": timeouts.as_dict()},
        )
        with _TRACER.start_as_current_span(
            f"{method} {name}" if name else method,
            kind=SpanKind.CLIENT,
            attributes={"http.request.method": method, "server.address": url.host},
            record_exception=False,
        ) as span:
            answer = await _exchange(self._anywhere if anywhere else self._public, request, seconds)
            span.set_attribute("http.response.status_code", answer.status_code)
        return answer


async def _exchange(
    transport: httpx.AsyncBaseTransport, request: httpx.Request, seconds: float
) -> Answer:
    response: httpx.Response | None = None
    body, cut = bytearray(), True
    try:
        async with asyncio.timeout(seconds):
            response = await transport.handle_async_request(request)
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_RESPONSE_BYTES:
                    break
            else:
                cut = False
    except TimeoutError:
        if response is None:
            raise AnswerTimeout(request.url.host) from None
    except HTTP_ERRORS as err:
        if response is None:
            raise no_reply(err, request.url.host) from None
    finally:
        if response is not None:
            await response.aclose()
    return Answer(response.status_code, response.headers, bytes(body[:MAX_RESPONSE_BYTES]), cut)
