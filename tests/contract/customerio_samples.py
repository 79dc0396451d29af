"""Messages and credentials for the tests of the Customer.io client and its simulator."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from delivery.message import Message
from destinations.customerio.destination import API_KEY, REGION
from destinations.customerio.simulator import EU_KEY, US_KEY, Simulator

TIMEOUT = 0.3
"""Seconds; stands for the client's ten where a test waits until they are over."""


@dataclass(frozen=True)
class Key:
    region: str
    api_key: SecretStr

    @property
    def settings(self) -> dict[str, str]:
        return {REGION: self.region}

    @property
    def secrets(self) -> dict[str, SecretStr]:
        return {API_KEY: self.api_key}


US = Key("us", SecretStr(US_KEY))
EU = Key("eu", SecretStr(EU_KEY))

IDENTIFY = Message(
    call="identify",
    body={
        "userId": "usr_2048",
        "traits": {"email": "test@example.com", "plan": "premium", "city": "Łódź"},
        "timestamp": "2026-11-23T18:00:00.000Z",
        "messageId": "01KASCB5G0000000000000000A",
    },
)
TRACK = Message(
    call="track",
    body={
        "userId": "usr_2048",
        "event": "Signed Up",
        "timestamp": "2026-11-23T18:00:00.000Z",
        "messageId": "01KASCB5G0000000000000000B",
    },
)


def options(sim: Simulator, **changed: object) -> None:
    sim.set_options(sim.options.model_copy(update=changed))


def basic(key: str, password: str = "") -> str:
    return "Basic " + base64.b64encode(f"{key}:{password}".encode()).decode()


class Caller:
    """Posts to the simulator as any program might, without the client under test."""

    def __init__(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        self.sim = sim
        self._http = http

    async def post(
        self,
        call: str,
        body: object = None,
        *,
        strict: bool = True,
        authorization: str | None = basic(US_KEY),
        region: str = "us",
        raw: bytes | None = None,
        encoding: str | None = None,
    ) -> httpx.Response:
        headers = {"X-Strict-Mode": "1"} if strict else {}
        if authorization is not None:
            headers["Authorization"] = authorization
        if encoding is not None:
            headers["Content-Encoding"] = encoding
        url = f"{self.sim.base_urls[region]}/{call}"
        if raw is not None:
            return await self._http.post(url, content=raw, headers=headers)
        return await self._http.post(url, json=body, headers=headers)

    async def identify(self, **body: object) -> None:
        assert (await self.post("identify", body)).status_code == 200

    async def track(self, **body: object) -> None:
        assert (await self.post("track", {"event": "Opened", **body})).status_code == 200

    async def control(self, method: str, page: str, body: object = None) -> httpx.Response:
        url = self.sim.base_urls["eu"].replace("/v1", f"/_sim/{page}")
        return await self._http.request(method, url, json=body)
