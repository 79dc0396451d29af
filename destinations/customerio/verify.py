"""Is a key right? Asked in strict mode with an empty identify, which writes nothing.

Customer.io has no request for this purpose: with a right key the empty message is what gets
refused (400), with a wrong one the key is (401). The order of these checks is published nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from delivery.outcome import AUTH_STATUS, Reply
from destinations.customerio.destination import REGION
from destinations.destination import Credential, Verdict, Verification
from destinations.http.errors import NoReply


@dataclass(frozen=True)
class _Elsewhere:
    """The same key, tried in another region."""

    settings: Mapping[str, str]
    secrets: Mapping[str, SecretStr]


class Prober(Protocol):
    @property
    def regions(self) -> tuple[str, ...]: ...

    async def probe(self, credential: Credential) -> Reply:
        """Send what strict mode refuses, so that nothing is written. Raises `NoReply`."""
        ...


async def verify(client: Prober, credential: Credential) -> Verification:
    """Ask the credential's region once, and each other region once when the key is refused there.

    Takes one request's time limit per region at most; never raises for what was answered.
    """
    region = credential.settings[REGION]
    try:
        reply = await client.probe(credential)
    except NoReply as err:
        return Verification(Verdict.UNKNOWN, f"the key could not be checked: {err}")
    if _accepted(reply):
        return Verification(Verdict.RIGHT, f"Customer.io takes this key in region {region}", region)
    if reply.status_code not in AUTH_STATUS:
        return Verification(
            Verdict.UNKNOWN, f"the key could not be checked: answered with {reply.status_code}"
        )
    unasked = False
    for other in client.regions:
        if other == region:
            continue
        try:
            reply = await client.probe(_Elsewhere({REGION: other}, credential.secrets))
        except NoReply:
            unasked = True
            continue
        if _accepted(reply):
            return Verification(
                Verdict.WRONG_REGION, f"this key belongs to region {other}, not {region}", other
            )
        unasked = unasked or reply.status_code not in AUTH_STATUS
    if unasked:
        message = f"Customer.io refuses this key in region {region}; no other could be asked"
    else:
        message = "Customer.io refuses this key in every region; copy it again"
    return Verification(Verdict.WRONG_KEY, message)


def _accepted(reply: Reply) -> bool:
    return reply.status_code == 400 or 200 <= reply.status_code < 300
