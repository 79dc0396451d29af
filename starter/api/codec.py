"""`/codec/decode` and `/codec/encode`: with them the Temporal Web UI and command line read events.

Whoever may call them can read every event. In production that takes the bearer token of
`EMITONCE_CODEC_TOKEN`. Without a token, for development, they answer this machine alone, called by
its own name, which a page from elsewhere that was pointed here is not; and of its users, where the
system says whose a connection is, the one that they run as.

The form is that of Temporal's remote data encoding: a JSON object `{"payloads": [{"metadata":
{name: base64}, "data": base64}]}` both ways.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from google.protobuf import json_format
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import PayloadCodec

from emitonce import CannotDecode
from emitonce.address import is_this_machine
from starter.api.errors import (
    ApiError,
    bad_request,
    too_large,
    too_many_failures,
    unauthorized,
)
from starter.api.failed_attempts import FailedAttempts
from starter.api.peer import same_user

PREFIX = "/codec"
PATHS = (f"{PREFIX}/decode", f"{PREFIX}/encode")

# The largest answer of Temporal's own API is 4 MB; base64 in JSON makes more of it.
LARGEST_BODY = 16 * 1024 * 1024
PREFLIGHT_SECONDS = 600
# What Temporal's Web UI sends.
HEADERS = "Authorization, Authorization-Extras, Content-Type, X-Namespace"


@dataclass(frozen=True)
class CodecAccess:
    """Who may decode. `origins` are those of the Web UI, such as `http://127.0.0.1:8233`."""

    token: SecretStr | None = None
    origins: tuple[str, ...] = ()


def ui_origins(ui_url: str | None) -> tuple[str, ...]:
    """The origin of the Web UI's address; on this machine, by both of its names."""
    if ui_url is None:
        return ()
    parts = urlsplit(ui_url)
    origin = f"{parts.scheme}://{parts.netloc}"
    if not is_this_machine(parts.hostname or ""):
        return (origin,)
    port = f":{parts.port}" if parts.port else ""
    return tuple(f"{parts.scheme}://{host}{port}" for host in ("127.0.0.1", "localhost", "[::1]"))


class CodecCors:
    """Lets the Web UI's pages, and no others, read the answers."""

    def __init__(self, app: ASGIApp, access: CodecAccess) -> None:
        self._app = app
        self._origins = access.origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        origin = request.headers.get("origin")
        allowed = origin if origin in self._origins else None
        if request.method == "OPTIONS":
            await _preflight(allowed)(scope, receive, send)
            return

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                added = [(b"cache-control", b"no-store"), (b"vary", b"Origin")]
                if allowed is not None:
                    added.append((b"access-control-allow-origin", allowed.encode()))
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, sending)


def _preflight(origin: str | None) -> Response:
    if origin is None:
        return Response(status_code=403)
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
            "Vary": "Origin",
        },
    )


def add_codec(app: Starlette, codec: PayloadCodec, access: CodecAccess) -> None:
    """Add both routes to `app`, whose handlers answer what is raised as `ApiError`."""
    failed = FailedAttempts()
    for path, transform in zip(PATHS, (codec.decode, codec.encode), strict=True):
        endpoint = _endpoint(transform, access, failed)
        app.add_route(path, endpoint, ["POST"], include_in_schema=False)


def _endpoint(
    transform: Callable[[Sequence[Payload]], Awaitable[list[Payload]]],
    access: CodecAccess,
    failed: FailedAttempts,
) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        _require_access(request, access, failed)
        payloads = await _read(request)
        try:
            transformed = await transform(payloads)
        except CannotDecode as err:
            raise ApiError(422, str(err)) from None
        answer = json_format.MessageToDict(Payloads(payloads=transformed))
        return JSONResponse({"payloads": [], **answer})

    return handle


def _require_access(request: Request, access: CodecAccess, failed: FailedAttempts) -> None:
    caller = request.client.host if request.client else ""
    if access.token is None:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        if not (is_this_machine(host) and is_this_machine(caller)):
            raise ApiError(403, "this answers its own machine alone; set EMITONCE_CODEC_TOKEN")
        if not same_user(request.client, request.scope.get("server")):
            raise ApiError(403, "this answers the user that it runs as alone")
        return
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    wanted = access.token.get_secret_value().encode()
    if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), wanted):
        if token and (seconds := failed.failed(caller)) > 0:
            raise too_many_failures(seconds)
        raise unauthorized("the codec's token is needed: Authorization: Bearer <token>")


async def _read(request: Request) -> list[Payload]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise too_large("body", f"is larger than {LARGEST_BODY} bytes")
    try:
        read = json_format.Parse(bytes(body), Payloads(), ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError):
        raise bad_request("body", 'must be JSON of the form {"payloads": […]}') from None
    return list(read.payloads)
