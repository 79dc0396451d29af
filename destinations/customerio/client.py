"""Send messages to Customer.io's Pipelines API: one request for one message.

Sources: the Pipelines API reference for hosts, Basic authentication and `X-Strict-Mode`. Without
that header a wrong key and an invalid message are answered with 200 and dropped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

import httpx
from pydantic import JsonValue, SecretStr

from delivery.attempt import Call
from delivery.credential import Credential
from delivery.message import Message
from delivery.outcome import Outcome, OutcomeCode
from destinations.customerio.destination import API_KEY, REGION, VENDOR_URLS
from destinations.destination import Verdict, Verification
from destinations.http.addresses import names_own_network
from destinations.http.base_urls import read_base_urls
from destinations.http.errors import NoReply, NotSent
from destinations.http.exchange import TOTAL_TIMEOUT_SECONDS, Http
from destinations.http.redaction import strings

CALLS: tuple[Call, ...] = ("identify", "track")


class CustomerIOClient:
    """Sends messages, and checks keys. It never waits and never tries twice: its caller does."""

    def __init__(
        self,
        http: Http,
        base_urls: Mapping[str, str],
        *,
        total_timeout: float = TOTAL_TIMEOUT_SECONDS,
        agent: str = "emitonce",
    ) -> None:
        """Make a client. `base_urls` replace the vendor's: by region, with the API's version.

        The timeout is in seconds. `agent` is the `User-Agent` of every request.

        Raises:
            ValueError: a base URL is not valid.
        """
        self._http = http
        self._urls = {
            region: {call: httpx.URL(f"{url}/{call}") for call in CALLS}
            for region, url in read_base_urls("Customer.io", VENDOR_URLS, base_urls).items()
        }
        self._agent = agent
        self._total_timeout = total_timeout

    async def send(self, message: Message, credential: Credential) -> Outcome:
        """Make exactly one request.

        Raises:
            NoReply: no status came within the time, or the connection failed.
        """
        region, api_key = credential.settings[REGION], credential.secrets[API_KEY]
        urls = self._urls.get(region)
        if urls is None:
            raise NotSent(f"region {region!r}")
        url = urls[message.call]
        answer = await self._http.ask(
            "POST",
            url,
            _headers(api_key, self._agent),
            message.encode(),
            # An internal base URL is an operator's; the vendor's must be public.
            anywhere=names_own_network(url.host),
            name=message.call,
            seconds=self._total_timeout,
        )
        return answer.outcome(secrets=(api_key,), sent=_identifying(message.body))

    async def verify(self, credential: Credential) -> Verification:
        """Check the key in its region and, if it is refused there, in each other region.

        Takes one request's time limit per region at most, writes nothing, and never raises.
        """
        region = credential.settings[REGION]
        try:
            outcome = await self._probe(region, credential)
        except NoReply as err:
            return Verification(Verdict.UNKNOWN, f"the key could not be checked: {err}")
        if _accepts_key(outcome):
            message = f"Customer.io accepts this key in region {region}"
            return Verification(Verdict.RIGHT, message, region)
        if outcome.code is not OutcomeCode.AUTH_FAILED:
            message = f"the key could not be checked: answered with {outcome.status_code}"
            return Verification(Verdict.UNKNOWN, message)
        unchecked = False
        for other in self._urls:
            if other == region:
                continue
            try:
                outcome = await self._probe(other, credential)
            except NoReply:
                unchecked = True
                continue
            if _accepts_key(outcome):
                message = f"this key belongs to region {other}, not {region}"
                return Verification(Verdict.WRONG_REGION, message, other)
            unchecked = unchecked or outcome.code is not OutcomeCode.AUTH_FAILED
        message = "Customer.io refuses this key in every region; copy it again"
        if unchecked:
            message = f"Customer.io refuses this key in region {region}; no other could be checked"
        return Verification(Verdict.WRONG_KEY, message)

    async def _probe(self, region: str, credential: Credential) -> Outcome:
        """Send an empty identify, which writes nothing: Customer.io has no request to check a key.

        In strict mode a right key has the message refused (400), and a wrong one is refused itself
        (401). The order of these checks is published nowhere.
        """
        message = Message(call="identify", body={})
        return await self.send(message, Credential({REGION: region}, credential.secrets))


def _accepts_key(outcome: Outcome) -> bool:
    return outcome.code is OutcomeCode.DELIVERED or outcome.status_code == 400


def _headers(api_key: SecretStr, agent: str) -> dict[str, str]:
    user_and_password = base64.b64encode(f"{api_key.get_secret_value()}:".encode()).decode()
    return {
        "Authorization": f"Basic {user_and_password}",
        "X-Strict-Mode": "1",
        "Content-Type": "application/json",
        "Accept": "application/json",
        "User-Agent": agent,
    }


def _identifying(body: Mapping[str, JsonValue]) -> Iterator[str]:
    """Yield what in a body is about a person: the ids, traits, and properties of the event."""
    for name in ("userId", "anonymousId"):
        value = body.get(name)
        if isinstance(value, str) and value.strip():
            yield value
    yield from strings([body.get("traits"), body.get("properties")])
