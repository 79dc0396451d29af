"""The two calls of an event, made alike in every lane: by the transport that emitonce has."""

from __future__ import annotations

import json
from typing import Any

import httpx

from destinations.http.exchange import Http

# Calls to the vendor under way at once, and connections kept for them: the same in every lane.
AT_ONCE = 100
_HEADERS = {"Authorization": "Basic a2V5Og==", "Content-Type": "application/json"}


class Refused(Exception):
    """The vendor answered anything but a success."""


class Vendor:
    """Makes connections in the event loop that uses it; closed with its process."""

    def __init__(self, base_url: str) -> None:
        self._http = Http(AT_ONCE)
        self._base_url = base_url

    async def identify(self, payload: dict[str, Any]) -> str:
        traits = {name: value for name, value in payload.items() if name != "userId"}
        return await self._post("identify", {"userId": payload["userId"], "traits": traits})

    async def track(self, payload: dict[str, Any]) -> str:
        return await self._post("track", {"userId": payload["userId"], "event": "Signed Up"})

    async def _post(self, call: str, body: dict[str, Any]) -> str:
        answer = await self._http.ask(
            "POST",
            httpx.URL(f"{self._base_url}/{call}"),
            _HEADERS,
            json.dumps(body).encode(),
            anywhere=True,
        )
        if not 200 <= answer.status_code < 300:
            raise Refused(f"{call} was answered {answer.status_code}")
        return answer.body.decode()
