"""Serve the tools over HTTP, by the API itself: `/mcp`, and `/mcp/changes` to change something.

What a tool asks of the API is a request of its own to the same application, with the token that the
assistant has shown. There is no session and no stream, so that any process answers any request and
a token is checked with each.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from catalog.scopes import READ
from starter.api.bodies import parse_body, read_bytes
from starter.api.errors import forbidden
from starter.api.routing import management_router, needs
from starter.mcp.api import TIMEOUT_SECONDS, Api
from starter.mcp.server import make_server

PATH = "/mcp"
WITH_CHANGES = f"{PATH}/changes"


def add_tools(app: FastAPI) -> None:
    """Add both routes. Neither is in the OpenAPI document, since the protocol describes them."""
    api = Api(httpx.AsyncClient(transport=_OfCaller(app), base_url="http://api"))
    router = management_router("mcp")
    for path, allow_changes in ((PATH, False), (WITH_CHANGES, True)):
        endpoint = _endpoint(api, allow_changes=allow_changes)
        router.add_api_route(path, endpoint, methods=["POST"], include_in_schema=False)
    app.include_router(router)


@dataclass(frozen=True)
class _Asked:
    """The request that called a tool. The requests that the tool makes end at `deadline`."""

    request: Request
    deadline: float


_asked: ContextVar[_Asked] = ContextVar("asked")


class _OfCaller(httpx.AsyncBaseTransport):
    """Sends a request to the application in the name of whoever calls the tool."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = _asked.get()
        request.headers["Authorization"] = asked.request.headers["Authorization"]
        request.headers["X-Request-Id"] = asked.request.state.request_id
        client = asked.request.client or ("", 0)
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False, client=client)
        try:
            async with asyncio.timeout_at(asked.deadline):
                return await transport.handle_async_request(request)
        except TimeoutError:
            raise httpx.ReadTimeout("", request=request) from None


def _endpoint(api: Api, *, allow_changes: bool) -> Any:
    server = make_server(api, allow_changes=allow_changes)
    server.middleware.clear()  # the SDK's tracing names spans after whatever a caller sends
    server.streamable_http_app()  # creates the session manager
    tools = server.session_manager.app

    @needs(READ)
    async def mcp(request: Request) -> Response:
        if "Origin" in request.headers:
            raise forbidden("Origin", "is sent by web pages, which these tools are not for")
        body = await read_bytes(request)
        await parse_body(body)
        return _Answer(tools, request, body)

    return mcp


class _Answer(Response):
    """The SDK's answer to a request whose body has been read."""

    def __init__(self, tools: Server[Any], request: Request, body: bytes) -> None:
        super().__init__()
        self._tools = tools
        self._request = request
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left: list[Message] = [{"type": "http.request", "body": self._body, "more_body": False}]

        async def receiving() -> Message:
            return left.pop() if left else await receive()

        deadline = asyncio.get_running_loop().time() + TIMEOUT_SECONDS
        _asked.set(_Asked(self._request, deadline))
        # One manager per request: at the end of `run()`, everything that it started has ended.
        manager = StreamableHTTPSessionManager(self._tools, json_response=True, stateless=True)
        async with manager.run():
            await manager.handle_request(scope, receiving, send)
