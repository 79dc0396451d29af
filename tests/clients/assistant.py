"""An assistant, by the official SDK's client: in this process, over a pipe or over HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from destinations.customerio.simulator import Fault
from starter.mcp.api import TIMEOUT_SECONDS
from starter.mcp.api import Api as ServedApi
from starter.mcp.server import make_server
from tests.api.caller import Api
from tests.clients.conftest import ROOT
from tests.integration.stack import SAMPLE

SECONDS = 60
ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


async def token(api: Api, *scopes: str) -> str:
    made = await api.stack.catalog.machine_keys.create(
        api.stack.organization, name="t", created_by="test", scopes=scopes, as_token=True
    )
    return made.secret_key.get_secret_value()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def called(tool: str, **arguments: Any) -> bytes:
    params = {"name": tool, "arguments": arguments}
    return json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    ).encode()


class Assistant:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def ask(self, tool: str, **arguments: Any) -> str:
        failed, text = await self.tried(tool, **arguments)
        assert not failed, text
        return text

    async def refused(self, tool: str, **arguments: Any) -> str:
        failed, text = await self.tried(tool, **arguments)
        assert failed, text
        return text

    async def tried(self, tool: str, **arguments: Any) -> tuple[bool, str]:
        try:
            answer = await self._client.call_tool(tool, arguments)
        except MCPError as err:
            return True, str(err)
        return answer.is_error, "\n".join(part.text for part in answer.content)

    async def tools(self) -> dict[str, Any]:
        return {tool.name: tool for tool in (await self._client.list_tools()).tools}


@asynccontextmanager
async def in_process(
    api: Api, token: str, *, allow_changes: bool = False
) -> AsyncIterator[Assistant]:
    """Serve what the command does, but without the seconds that its process takes to start."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(base_url=api.url, headers=headers, timeout=TIMEOUT_SECONDS) as http,
        Client(make_server(ServedApi(http), allow_changes=allow_changes)) as client,
    ):
        yield Assistant(client)


@asynccontextmanager
async def over_stdio(
    api: Api, token: str, *, allow_changes: bool = False
) -> AsyncIterator[Assistant]:
    program = StdioServerParameters(
        command=sys.executable,
        args=["-m", "starter.cli.main", "mcp", *(["--allow-changes"] if allow_changes else [])],
        env={"EMITONCE_URL": api.url, "EMITONCE_TOKEN": token},
        cwd=ROOT,
    )
    async with Client(program, read_timeout_seconds=SECONDS) as client:
        yield Assistant(client)


@asynccontextmanager
async def over_http(
    api: Api,
    token: str,
    *,
    allow_changes: bool = False,
    mode: str = "auto",
    transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncIterator[Assistant]:
    """`mode` is "legacy" for the handshake of older clients."""
    url = f"{api.url}/mcp/changes" if allow_changes else f"{api.url}/mcp"
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=SECONDS, transport=transport) as http,
        Client(
            streamable_http_client(url, http_client=http), mode=mode, read_timeout_seconds=SECONDS
        ) as client,
    ):
        yield Assistant(client)


async def failed_event(api: Api, payload: dict[str, Any] | None = None) -> dict[str, Any]:
    api.stack.sim.fail("identify", fault=Fault(status=400, body="no such person"), times=1)
    body = {"event": "user.signup", "payload": payload or SAMPLE}
    return await api.ended((await api.emitted(body))["id"])
