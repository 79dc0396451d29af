"""What the clients of JSON APIs share; unless one says otherwise, a bearer token is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import httpx

from delivery.credential import Credential
from destinations.http.addresses import names_own_network
from destinations.http.base_urls import read_base_urls
from destinations.http.errors import NotSent
from destinations.http.exchange import MAX_RESPONSE_BYTES, TOTAL_TIMEOUT_SECONDS, Answer, Http


class BearerClient:
    """Ask one vendor. It never waits and never tries twice.

    `vendor` is its name, and the setting `token` is sent. `vendor_url` stands before all paths, or,
    of a vendor that has regions, one of `vendor_urls` by the setting `region`.
    """

    vendor: ClassVar[str]
    vendor_url: ClassVar[str]
    vendor_urls: ClassVar[Mapping[str, str]] = {}
    token: ClassVar[str]

    def __init__(
        self,
        http: Http,
        base_urls: Mapping[str, str] = {},
        *,
        total_timeout: float = TOTAL_TIMEOUT_SECONDS,
        agent: str = "emitonce",
    ) -> None:
        """Make a client. `base_urls` may replace the vendor's, by region.

        Raises:
            ValueError: a base URL is not valid.
        """
        self._http = http
        own = self.vendor_urls or {"": self.vendor_url}
        self._urls = read_base_urls(self.vendor, own, base_urls)
        self._total_timeout = total_timeout
        self._agent = agent

    def _base_url(self, credential: Credential) -> str:
        region = credential.settings.get("region", "")
        if (url := self._urls.get(region)) is None:
            raise NotSent(f"region {region!r}")
        return url

    def _authorization(self, credential: Credential) -> str:
        return f"Bearer {credential.secrets[self.token].get_secret_value()}"

    async def _ask(
        self,
        method: str,
        path: str,
        credential: Credential,
        content: bytes = b"",
        *,
        headers: Mapping[str, str] = {},
        query: Mapping[str, str] = {},
        seconds: float | None = None,
        largest: int = MAX_RESPONSE_BYTES,
    ) -> Answer:
        """Make exactly one request. Raises as `Http.ask` does."""
        url = httpx.URL(f"{self._base_url(credential)}/{path}", params=query or None)
        return await self._http.ask(
            method,
            url,
            {
                "Authorization": self._authorization(credential),
                "Accept": "application/json",
                "User-Agent": self._agent,
                **({"Content-Type": "application/json"} if content else {}),
                **headers,
            },
            content,
            # A base URL of the own network is an operator's; the vendor's must be public.
            anywhere=names_own_network(url.host),
            name=path.partition("/")[0],
            seconds=seconds or self._total_timeout,
            largest=largest,
        )
