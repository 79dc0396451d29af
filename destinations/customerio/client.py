"""Send messages to Customer.io's Pipelines API: one request for one message.

Sources: the Pipelines API reference for hosts, Basic authentication and `X-Strict-Mode`. Without
that header a wrong key and an invalid message are answered with 200 and dropped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from delivery.credential import Credential
from delivery.message import Message
from delivery.outcome import Outcome, OutcomeCode
from destinations.customerio.destination import API_KEY, REGION, VENDOR_URLS
from destinations.destination import Verdict, Verification
from destinations.http.redaction import strings
from destinations.http.vendor_client import VendorClient


class CustomerIOClient(VendorClient):
    """Sends messages, and checks keys. It never waits and never tries twice: its caller does."""

    vendor = "Customer.io"
    vendor_urls = VENDOR_URLS
    token = API_KEY
    noun = "key"

    def _authorization(self, credential: Credential) -> str:
        user_and_password = f"{credential.secrets[API_KEY].get_secret_value()}:"
        return f"Basic {base64.b64encode(user_and_password.encode()).decode()}"

    async def send(self, message: Message, credential: Credential) -> Outcome:
        """Make exactly one request.

        Raises:
            NoReply: no status came within the time, or the connection failed.
        """
        answer = await self._ask(
            "POST", message.call, credential, message.encode(), headers={"X-Strict-Mode": "1"}
        )
        return answer.outcome(secrets=credential.secrets.values(), sent=_identifying(message.body))

    async def _probe(self, credential: Credential) -> Verification:
        """Send an empty identify, which writes nothing: Customer.io has no request to check a key.

        In strict mode a right key has the message refused (400), and a wrong one is refused itself
        (401). The order of these checks is published nowhere.
        """
        outcome = await self.send(Message(call="identify", body={}), credential)
        region = credential.settings[REGION]
        if outcome.code is OutcomeCode.DELIVERED or outcome.status_code == 400:
            told = f"Customer.io accepts this key in region {region}"
            return Verification(Verdict.RIGHT, told, region)
        if outcome.code is OutcomeCode.AUTH_FAILED:
            told = f"Customer.io refuses this key in region {region}; copy it again"
            return Verification(Verdict.WRONG_KEY, told)
        return self._unchecked(f"answered with {outcome.status_code}")


def _identifying(body: Mapping[str, JsonValue]) -> Iterator[str]:
    """Yield what in a body is about a person: the ids, traits, and properties of the event."""
    for name in ("userId", "anonymousId"):
        value = body.get(name)
        if isinstance(value, str) and value.strip():
            yield value
    yield from strings([body.get("traits"), body.get("properties")])
