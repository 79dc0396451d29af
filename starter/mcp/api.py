"""Call the HTTP API for a tool: scopes, ownership and the audit are the API's."""

from __future__ import annotations

from typing import Any

import httpx
from mcp.server.mcpserver.exceptions import ToolError

JsonObject = dict[str, Any]

PATH = "/api/v1"
# A cancel or a retry of the API's own waits 15 s at most; a vendor's check 10 s.
TIMEOUT_SECONDS = 40.0


class NoAnswer(ToolError):
    """Whether the API has done what it was asked for is unknown."""


class Api:
    """Raises `NoAnswer`; `ToolError` with the API's own sentence for whatever isn't a success."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        """`http` has the API's address and the token."""
        self._http = http

    async def get(self, path: str, /, **params: Any) -> JsonObject:
        return await self._call("GET", path, params=_given(params))

    async def post(self, path: str, /, **body: Any) -> JsonObject:
        return await self._call("POST", path, json=_given(body))

    async def _call(self, method: str, path: str, **content: Any) -> JsonObject:
        try:
            answer = await self._http.request(method, PATH + path, **content)
        except httpx.TimeoutException as err:
            raise NoAnswer("The API did not answer in time. Ask for less, or later.") from err
        except httpx.HTTPError as err:
            raise NoAnswer(
                f"The API can't be reached: {type(err).__name__}. Check EMITONCE_URL."
            ) from err
        try:
            body: JsonObject = answer.json()
            said = None if answer.is_success else body["error"]["message"]
        except (ValueError, KeyError, TypeError):
            raise NoAnswer(
                f"Something other than the API answered {answer.status_code}. Check EMITONCE_URL."
            ) from None
        if said is not None:
            raise ToolError(f"The API answered {answer.status_code}: {said}")
        return body


def _given(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}
