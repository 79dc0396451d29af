"""Make one request and read its answer, limited in time and size. Shared by all destinations.

Redirects are not followed, answers are not unpacked, cookies, which may belong to another tenant,
are not kept, no headers are added, and proxies, certificates or passwords are not read from the
environment.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import aiohttp
import httpx
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType, SocketFactoryType
from httpx_aiohttp import AiohttpTransport
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from pydantic import SecretStr

from delivery.message import encode_value
from delivery.outcome import Outcome
from destinations.http.addresses import is_public
from destinations.http.errors import HTTP_ERRORS, AnswerTimeout, PrivateAddress, no_reply
from destinations.http.redaction import redact

CONNECT_TIMEOUT_SECONDS = 3.0
TOTAL_TIMEOUT_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 20.0
MOST_LOOKUPS = 100
MAX_RESPONSE_BYTES = 64 * 1024
MAX_EXCERPT = 2_000
# How many characters are searched for an excerpt, and for how many values: 40 ms at most.
MAX_READ = 4 * MAX_EXCERPT
MOST_VALUES = 5_000
# Makes a span for each request if the process has a collector of traces. The receiver gets nothing
# of it.
_TRACER = trace.get_tracer("emitonce.destinations")

log = structlog.get_logger("emitonce.destinations")


@dataclass(frozen=True)
class Answer:
    """A status and as much of the body as was read; `cut` says that the body's end is missing."""

    status_code: int
    headers: httpx.Headers
    body: bytes
    cut: bool

    def keeping(self, found: Mapping[str, Any], keys: Iterable[str]) -> Answer:
        """Return it with these keys of its JSON only: an acceptance may repeat a person whole."""
        kept = {key: found[key] for key in keys if isinstance(found.get(key), str | int)}
        return replace(self, body=encode_value(kept).encode(), cut=False)

    def outcome(self, *, secrets: Iterable[SecretStr], sent: Iterable[str]) -> Outcome:
        """Judge it, and keep an excerpt of the body without `secrets` and what was `sent`."""
        return Outcome.of_answer(
            self.status_code,
            excerpt=self._excerpt(secrets, sent),
            retry_after=self.headers.get("retry-after"),
        )

    def _excerpt(self, secrets: Iterable[SecretStr], sent: Iterable[str]) -> str:
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", ""):
            # Not requested; 64 KiB could unpack to any size.
            return "[packed answer, not shown]"
        values = tuple(islice(sent, MOST_VALUES + 1)) if self.body else ()
        if len(values) > MOST_VALUES:
            return "[answer not shown: the request has too many values to look for in it]"
        whole = self.body.decode(errors="replace")
        text = whole[:MAX_READ]
        cut = self.cut or len(text) < len(whole)
        text = redact(text, secrets=secrets, sent=values, cut=cut)
        if len(text) > MAX_EXCERPT or cut:
            return text[: MAX_EXCERPT - 1] + "…"
        return text


class Http:
    """The connections that all requests of a process share, in two pools.

    One pool connects only to public addresses, the other anywhere. Close it, or use it as a context
    manager. Connections are aiohttp's, which needs a seventh of the CPU of httpx's own.
    """

    def __init__(
        self,
        max_connections: int = 100,
        *,
        private_hosts: Collection[tuple[str, int]] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Make the pools, each of `max_connections`: at least as many as requests in flight.

        `private_hosts` are hosts and ports that may have any address.
        """
        self._private_hosts = frozenset(private_hosts)
        self._tls = tls or httpx.create_ssl_context(trust_env=False)
        self._public = self._pool(max_connections, _public_socket)
        self._anywhere = self._pool(max_connections)

    def _pool(
        self, max_connections: int, socket_factory: SocketFactoryType | None = None
    ) -> AiohttpTransport:
        def session() -> aiohttp.ClientSession:  # made in the event loop that uses it
            made = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=max_connections,
                    keepalive_timeout=KEEP_ALIVE_SECONDS,
                    resolver=_Resolver(),
                    socket_factory=socket_factory,
                    ssl=self._tls,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
            # aiohttp makes a second request of its own for a PUT, DELETE or GET whose connection
            # broke, and has no public way to say that it must not.
            made._retry_connection = False
            return made

        return AiohttpTransport(verify=self._tls, client=session)

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._public.aclose()
        await self._anywhere.aclose()

    def is_allowed(self, url: httpx.URL) -> bool:
        """Say whether its host and port may have any address."""
        if not self._private_hosts:
            return False
        port = url.port or (443 if url.scheme == "https" else 80)
        return (url.host, port) in self._private_hosts

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
        largest: int = MAX_RESPONSE_BYTES,
    ) -> Answer:
        """Make exactly one request.

        Once a status has come, it is the answer, even if the body breaks off or is cut at
        `largest` bytes.
        `anywhere` is for hosts that an operator has named; without it, the host's address must be
        public, unless the host is allowed. `name` says in traces what the request is for.

        Raises:
            NoReply: no status came within `seconds`, or the connection failed.
        """
        timeout = dict.fromkeys(("read", "write", "pool"), seconds)
        timeout["connect"] = min(CONNECT_TIMEOUT_SECONDS, seconds)
        request = httpx.Request(
            method,
            url,
            headers={"Accept-Encoding": "identity", **headers},
            content=content,
            extensions={"timeout": timeout},
        )
        with _TRACER.start_as_current_span(
            f"{method} {name}" if name else method,
            kind=SpanKind.CLIENT,
            attributes={"http.request.method": method, "server.address": url.host},
            record_exception=False,
        ) as span:
            anywhere = anywhere or self.is_allowed(url)
            answer = await _exchange(
                self._anywhere if anywhere else self._public, request, seconds, largest
            )
            span.set_attribute("http.response.status_code", answer.status_code)
        return answer


async def _exchange(
    transport: httpx.AsyncBaseTransport, request: httpx.Request, seconds: float, largest: int
) -> Answer:
    response: httpx.Response | None = None
    body, cut = bytearray(), True
    try:
        async with asyncio.timeout(seconds):
            response = await transport.handle_async_request(request)
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > largest:
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
    return Answer(response.status_code, response.headers, bytes(body[:largest]), cut)


def read_url(text: str) -> httpx.URL:
    """Read a URL to which a request can be sent.

    Raises:
        ValueError: it isn't one. The message doesn't repeat it.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise ValueError("is not a URL") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("must start with https:// and name a host")
    return url


class _Resolver(AbstractResolver):
    """Looks up names as the machine does, but in its own threads.

    Tenants choose hosts, and name servers that don't answer must not delay the look-ups of others.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MOST_LOOKUPS, thread_name_prefix="name-lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        look_up = partial(
            socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _public_socket(address: AddrInfoType) -> socket.socket:
    """Make the socket for a connection to `address`, unless that is not on the internet.

    The connection is opened to exactly this address: a name is not looked up again in between, and
    an address in the URL itself is checked here too.

    Raises:
        PrivateAddress: the name's next address is tried, if there is one.
    """
    family, kind, protocol, _, (host, *_) = address
    if not is_public(str(host)):
        log.warning("nothing is sent to a private address", address=str(host))
        raise PrivateAddress(errno.EACCES, "the address is not public")
    return socket.socket(family, kind, protocol)
