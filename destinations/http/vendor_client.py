"""What the clients of vendors' JSON APIs share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import httpx

from delivery.credential import Credential
from delivery.outcome import Outcome
from destinations.complaint import read_object
from destinations.destination import Verdict, Verification
from destinations.http.addresses import names_own_network
from destinations.http.errors import NoReply, NotSent
from destinations.http.exchange import (
    MAX_RESPONSE_BYTES,
    TOTAL_TIMEOUT_SECONDS,
    Answer,
    Http,
    read_url,
)


class VendorClient(ABC):
    """Ask one vendor. It never waits and never tries twice.

    `vendor` is its name. `vendor_url` stands before all paths, or, of a vendor that has regions,
    one of `vendor_urls` by the setting `region`. The secret `token`, called `noun` in messages, is
    sent as a bearer token, unless a client says otherwise. An answer that accepts a message may
    repeat all about a person, so only its keys in `kept` are kept.
    """

    vendor: ClassVar[str]
    vendor_url: ClassVar[str]
    vendor_urls: ClassVar[Mapping[str, str]] = {}
    token: ClassVar[str]
    noun: ClassVar[str] = "token"
    kept: ClassVar[tuple[str, ...]] = ()

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
            ValueError: a base URL is not valid, or the vendor has no such region.
        """
        self._http = http
        own = self.vendor_urls or {"": self.vendor_url}
        for region in base_urls.keys() - own.keys():
            raise ValueError(f"base URL of region {region!r}: {self.vendor} has no such region")
        urls = {**own, **base_urls}
        self._urls = {region: _read_base_url(region, url) for region, url in urls.items()}
        self._total_timeout = total_timeout
        self._agent = agent

    async def verify(self, credential: Credential) -> Verification:
        """Check the credential in its region and, if it is refused there, in each other one.

        Takes one request's time limit a region at most, writes nothing, and never raises.
        """
        region = credential.settings.get("region", "")
        verified = await self._probed(credential)
        others = [other for other in self._urls if other != region]
        if verified.verdict is not Verdict.WRONG_KEY or not others:
            return verified
        elsewhere = "no other region accepts it either"
        for other in others:
            found = await self._probed(Credential({"region": other}, credential.secrets))
            if found.verdict is Verdict.RIGHT:
                told = f"this {self.noun} belongs to region {other}, not {region}"
                return Verification(Verdict.WRONG_REGION, told, other)
            if found.verdict is Verdict.UNKNOWN:
                elsewhere = "another region could not be checked"
        return replace(verified, message=f"{verified.message} ({elsewhere})")

    async def _probed(self, credential: Credential) -> Verification:
        try:
            return await self._probe(credential)
        except NoReply as err:
            return self._unchecked(str(err))

    @abstractmethod
    async def _probe(self, credential: Credential) -> Verification:
        """Check the credential in its own region. Raises as `_ask` does."""

    def _unchecked(self, why: str) -> Verification:
        return Verification(Verdict.UNKNOWN, f"the {self.noun} could not be checked: {why}")

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

    def _outcome(
        self, answer: Answer, credential: Credential, sent: Iterable[str]
    ) -> tuple[Outcome, dict[str, Any] | None]:
        """Judge an answer by its status, without what was `sent`; also return its JSON object."""
        found = read_object(answer.body)
        if found is not None and answer.status_code < 300:
            answer = answer.keeping(found, self.kept)
        return answer.outcome(secrets=credential.secrets.values(), sent=sent), found


def _read_base_url(region: str, text: str) -> str:
    """Return it without a slash at the end."""
    try:
        url = read_url(text)
    except ValueError as err:
        raise ValueError(f"base URL of region {region!r} {err}") from None
    if url.userinfo or url.query or url.fragment:
        raise ValueError(f"base URL of region {region!r} must have no user, query or fragment")
    return text.rstrip("/")
