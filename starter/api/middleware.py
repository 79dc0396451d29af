"""Middleware: request ids and the log, security headers, CORS, errors as answers, body limits.

From the outside in: `Observed`, `SecurityHeaders`, `IngestionCors`, `Failures`, `BoundedBody`.
"""

from __future__ import annotations

import asyncio
import re
import time
import traceback
import uuid
from datetime import timedelta
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from temporalio.common import MetricMeter

from engine.metric_names import HTTP_LATENCY
from engine.spans import request_span
from starter.api.errors import ApiError, as_api_error

REQUEST_ID = "x-request-id"
PREFIX = "/api/v1"
INGESTION_PATHS = (f"{PREFIX}/events", f"{PREFIX}/events/bulk")
PREFLIGHT_SECONDS = 7_200
EXPOSED_HEADERS = "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy"

# The methods in common use. Any other is counted as one, so that nobody can invent metric series.
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
OTHER_METHOD = "other"

# How long the whole body of a request may take to arrive.
BODY_SECONDS = 30.0

_YEAR = 365 * 24 * 3600

# What a browser may ask to send. Never Authorization: a machine key doesn't belong in a browser.
_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1000}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

log = structlog.get_logger("starter.api")


class HttpMiddleware:
    """Wraps HTTP requests; whatever else ASGI has, such as the lifespan, passes through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handle = self.handle if scope["type"] == "http" else self._app
        await handle(scope, receive, send)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError


class Observed(HttpMiddleware):
    """Gives each request an id (the client's own, if it sent one), and writes its log line, its
    latency and a span of the caller's trace.

    All name the route by its template, and never hold a query or a body, since those may hold
    personal data.
    """

    def __init__(self, app: ASGIApp, meter: MetricMeter = MetricMeter.noop) -> None:
        super().__init__(app)
        self._latency = meter.create_histogram_timedelta(
            HTTP_LATENCY, "Until the API's answer", unit="s"
        )

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        started, status = time.perf_counter(), 499  # unless answered: the client disconnected

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])  # not the enum that some give, for the log
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        with request_span(method, Headers(scope=scope)) as span:
            try:
                await self._app(scope, receive, sending)
            finally:
                seconds, route = time.perf_counter() - started, _route(scope)
                self._latency.record(
                    timedelta(seconds=seconds),
                    {"route": route, "method": method, "status": str(status)},
                )
                span.answered(route, status)
                log.info(
                    "request",
                    request_id=request_id,
                    method=method,
                    route=route,
                    status=status,
                    duration_ms=round(seconds * 1000, 1),
                    **_said_by_route(scope),
                )


def _route(scope: Scope) -> str:
    found = getattr(scope.get("route"), "path", None)
    return found if isinstance(found, str) else "none"


def _said_by_route(scope: Scope) -> dict[str, Any]:
    """Return who called, and the ids of what was made or asked for. Never personal data."""
    state = scope["state"]
    said: dict[str, Any] = dict(state.get("said", {}))
    caller = state.get("caller")
    if caller is not None:
        said["key"] = caller.key
    return said


class SecurityHeaders(HttpMiddleware):
    """Adds security headers to every answer, except those that a route has set itself.

    `public_url` is where people open this. If it is `https`, there is no way in without TLS.
    """

    def __init__(self, app: ASGIApp, public_url: str | None = None) -> None:
        super().__init__(app)
        self._public_https = (public_url or "").startswith("https://")

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                present = {name for name, _ in headers}
                https = self._public_https or scope["scheme"] == "https"
                wanted = _FOR_BROWSERS_BY_TLS if https else _FOR_BROWSERS
                if any(b"frame-ancestors http" in value for _, value in headers):
                    present.add(b"x-frame-options")  # which knows no origins
                message["headers"] = [*headers, *(one for one in wanted if one[0] not in present)]
            await send(message)

        await self._app(scope, receive, sending)


# As the server sends them: names in lower case.
_FOR_BROWSERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_FOR_BROWSERS_BY_TLS = (
    *_FOR_BROWSERS,
    (b"strict-transport-security", b"max-age=%d" % _YEAR),
)


class BoundedBody(HttpMiddleware):
    """Refuses a body that isn't complete after `BODY_SECONDS`, and one with two lengths.

    If a request has both Content-Length and Transfer-Encoding, a proxy in front of the API may
    follow one where the server follows the other, and so read the rest as someone else's request.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:
            raise ApiError(
                400,
                "the request has both Content-Length and Transfer-Encoding: send one of them",
                headers={"Connection": "close"},
            )
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        whole = False

        async def receiving() -> Message:
            nonlocal whole
            if whole:  # all that can still arrive is that the caller disconnects
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise ApiError(
                    408,
                    f"the body did not arrive within {BODY_SECONDS:.0f} seconds: send it again",
                    headers={"Connection": "close"},
                ) from None
            whole = not message.get("more_body", False)
            return message

        await self._app(scope, receiving, send)


class IngestionCors(HttpMiddleware):
    """Lets pages of any origin emit events and do nothing else. Never asks for credentials."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if scope["path"] not in INGESTION_PATHS or "origin" not in headers:
            await self._app(scope, receive, send)
            return
        asked = headers.get("access-control-request-method")
        if scope["method"] == "OPTIONS" and asked is not None:
            await _preflight(headers, asked)(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["method"] == "POST":
                answer = MutableHeaders(scope=message)
                answer["Access-Control-Allow-Origin"] = "*"
                answer["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
            await send(message)

        await self._app(scope, receive, sending)


def _preflight(headers: Headers, method: str) -> Response:
    if method != "POST":
        return Response(status_code=403)
    asked = headers.get("access-control-request-headers", "")
    names = asked.lower().split(",") if _HEADER_NAMES.fullmatch(asked) else []
    allowed = [name.strip() for name in names if name.strip() not in ("", "authorization")]
    answer = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        "Vary": "Access-Control-Request-Headers",
    }
    if allowed:
        answer["Access-Control-Allow-Headers"] = ", ".join(allowed)
    return Response(status_code=204, headers=answer)


class Failures(HttpMiddleware):
    """Answers every exception. An unexpected one is logged with its place, never with its text."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            return
        except Exception as err:
            if started:
                raise
            await answer_to(err, scope)(scope, receive, send)


def answer_to(error: Exception, scope: Scope) -> Response:
    answer = as_api_error(error) or logged_error(error, scope)
    return JSONResponse(answer.body(), status_code=answer.status, headers=answer.headers)


def logged_error(error: Exception, scope: Scope) -> ApiError:
    """Log where an unexpected error was raised; return an answer that says only that it happened.

    The error's text is not logged, since it may repeat the data that it failed on.
    """
    log.error(
        "request failed",
        request_id=scope["state"]["request_id"],
        error=type(error).__name__,
        at=[
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)[-8:]
        ],
    )
    return ApiError(500, "something went wrong here; the log has it under this request's id")
