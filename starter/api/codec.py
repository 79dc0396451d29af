"""Serve `/codec/decode` and `/codec/encode`, by which Temporal's Web UI and CLI read events.

Whoever may call them can read every event. In production they need the bearer token of
`EMITONCE_CODEC_TOKEN`. Without a token, for development, they answer only callers on this machine
that use one of its own names, which a foreign page whose host name was pointed here doesn't; and,
where the system reports the user of a connection, only the user that they run as.

The format is that of Temporal's remote data encoding, both ways: a JSON object `{"payloads":
[{"metadata": {name: base64}, "data": base64}]}`.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from google.protobuf import json_format
from pydantic import SecretStr
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import PayloadCodec

from emitonce import CannotDecode
from emitonce.address import is_this_machine
from starter.api.bodies import read_bytes
from starter.api.errors import ApiError, bad_request, too_many_failures, unauthorized
from starter.api.failed_attempts import FailedAttempts
from starter.api.middleware import Failures
from starter.api.peer import same_user

PREFIX = "/codec"

# The largest answer of Temporal's own API is 4 MB; base64 in JSON makes more of it.
LARGEST_BODY = 16 * 1024 * 1024
PREFLIGHT_SECONDS = 600
# What Temporal's Web UI sends.
HEADERS = ("Authorization", "Authorization-Extras", "Content-Type", "X-Namespace")


@dataclass(frozen=True)
class CodecAccess:
    """Who may decode. `origins` are the Web UI's, such as `http://127.0.0.1:8233`."""

    token: SecretStr | None = None
    origins: tuple[str, ...] = ()


def ui_origins(ui_url: str | None) -> tuple[str, ...]:
    """Return the origin of the Web UI's address; on this machine, under each of its names."""
    if ui_url is None:
        return ()
    parts = urlsplit(ui_url)
    origin = f"{parts.scheme}://{parts.netloc}"
    if not is_this_machine(parts.hostname or ""):
        return (origin,)
    port = f":{parts.port}" if parts.port else ""
    return tuple(f"{parts.scheme}://{host}{port}" for host in ("127.0.0.1", "localhost", "[::1]"))


def codec_routes(codec: PayloadCodec, access: CodecAccess) -> list[Route]:
    """Return both routes. Only the Web UI's pages may read the answers."""
    failed = FailedAttempts()
    cors = Middleware(
        CORSMiddleware,
        allow_origins=access.origins,
        allow_methods=["POST"],
        allow_headers=HEADERS,
        max_age=PREFLIGHT_SECONDS,
    )
    return [
        Route(
            path,
            _endpoint(transform, access, failed),
            methods=["POST", "OPTIONS"],  # the latter is answered by `cors`
            include_in_schema=False,
            middleware=[cors, Middleware(Failures)],
        )
        for path, transform in (
            (f"{PREFIX}/decode", codec.decode),
            (f"{PREFIX}/encode", codec.encode),
        )
    ]


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
        return JSONResponse({"payloads": [], **answer}, headers={"Cache-Control": "no-store"})

    return handle


def _require_access(request: Request, access: CodecAccess, failed: FailedAttempts) -> None:
    caller = request.client.host if request.client else ""
    if access.token is None:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        if not (is_this_machine(host) and is_this_machine(caller)):
            raise ApiError(403, "this answers only its own machine; set EMITONCE_CODEC_TOKEN")
        if not same_user(request.client, request.scope.get("server")):
            raise ApiError(403, "this answers only the user that it runs as")
        return
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    wanted = access.token.get_secret_value().encode()
    if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), wanted):
        if token and (seconds := failed.failed(caller)) > 0:
            raise too_many_failures(seconds)
        raise unauthorized("the codec's token is needed: Authorization: Bearer <token>")


async def _read(request: Request) -> list[Payload]:
    body = await read_bytes(request, LARGEST_BODY)
    try:
        read = json_format.Parse(body, Payloads(), ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError):
        raise bad_request("body", 'must be JSON of the form {"payloads": […]}') from None
    return list(read.payloads)
