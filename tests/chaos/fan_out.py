"""Events that go to a connection of each type, and what their vendors received of them."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from delivery.delivery_log import DeliveryLog
from delivery.result import Status
from destinations.hubspot.simulator import SCOPES
from destinations.webhook.simulator import WebhookSimulator
from operations.steering import resume_connection
from tests.chaos.oracle import READ, Held, Received
from tests.chaos.round import Round
from tests.chaos.world import TASK_QUEUE, World, until
from tests.every_destination import samples

FANNED = "fanned.event"
# The one that refuses its token for a while.
HELD = "hubspot"
A_SECOND = 50
# Ours, by the names that simulators have for writing requests.
CALLS = {
    "customer_io": {"identify": "identify", "track": "track"},
    "webhook": {"message": "send"},
    "slack": {"chat.postMessage": "send"},
    "hubspot": {"upsert": "identify", "send": "track"},
    "resend": {
        "contacts.create": "identify",
        "contacts.update": "identify",
        "events.send": "track",
    },
    "mailchimp": {"member": "identify", "event": "track"},
    "intercom": {"create": "identify", "update": "identify", "event": "track"},
}


@dataclass
class FanOut:
    """A round's connections, by type. `env` is what workers need to reach their vendors."""

    world: World
    round: Round
    receiver: WebhookSimulator
    connections: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        urls: Mapping[str, str] = self.world.vendor.ready["base_urls"]
        further = {name: url for name, url in urls.items() if not name.startswith("customer_io")}
        return {
            "EMITONCE_BASE_URLS": json.dumps(further),
            "EMITONCE_ALLOWED_PRIVATE_HOSTS": "{}:{}".format(*self.receiver.address),
        }

    async def connect(self) -> None:
        keys = {
            "customer_io": {"cdpApiKey": self.world.planted["api key"]},
            HELD: {"access_token": self.world.planted["token"]},
        }
        async with self.world.catalog() as catalog:
            organization = (await catalog.organizations.default()).id
            for type, sample in samples(self.receiver.url).items():
                made = await sample.connect(
                    catalog, organization, self.round.workspace, type, **keys.get(type, {})
                )
                await catalog.connections.update(
                    organization, made.id, requests_per_second=A_SECOND
                )
                await sample.rule(catalog, organization, made, FANNED)
                self.connections[type] = made.id

    async def emit(self, count: int) -> None:
        await self.round.emit(count, FANNED, destinations=len(self.connections))

    async def accept(self, *tokens: str) -> None:
        """Let the held one's vendor accept these tokens and no others."""
        await self.world.asked("tokens", "POST", dict.fromkeys(tokens, SCOPES), type=HELD)

    async def requests(self) -> list[Received]:
        """What every vendor but Customer.io has received of the round."""
        people = {}
        for person in self.round.events:
            address = f"{person}@{self.world.planted['e-mail']}".lower()
            digest = hashlib.md5(address.encode(), usedforsecurity=False).hexdigest()
            people |= {person.lower(): person, digest: person}
        return [
            _received(type, entry, person)
            for type in self.connections.keys() - {"customer_io"}
            for entry in await self._log(type)
            if (person := self._person(entry, people)) is not None
        ]

    async def _log(self, type: str) -> list[Any]:
        if type == "webhook":
            return [request.as_json() for request in self.receiver.requests]
        return list(await self.world.asked("requests", type=type))

    def _person(self, entry: Mapping[str, Any], people: Mapping[str, str]) -> str | None:
        """Find whose request it is: vendors get addresses in lower case, or Mailchimp's hash."""
        text = f"{entry['path']} {entry['query']} {json.dumps(entry['body'])}".lower()
        named = re.findall(rf"{re.escape(self.round.name.lower())}-\d+|\b[0-9a-f]{{32}}\b", text)
        return next((people[one] for one in named if one in people), None)

    async def all_held(self) -> None:
        """Wait until no delivery to the held one is on its way."""

        def held(one: DeliveryLog) -> bool:
            return bool(one.integration_type != HELD or one.held) or one.status is Status.COMPLETED

        await self._every(held, what="all deliveries to the refusing vendor are held")

    async def others_completed(self) -> None:
        def completed(one: DeliveryLog) -> bool:
            return one.integration_type == HELD or one.status is Status.COMPLETED

        await self._every(completed, what="all others are delivered")

    async def _every(self, holds: Callable[[DeliveryLog], bool], *, what: str) -> None:
        async def every() -> bool:
            return all(
                len(log.deliveries) == len(self.connections) and all(map(holds, log.deliveries))
                for log in (await self.round.logs()).values()
            )

        await until(every, within=180, what=what)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """A time in which the held one must get no request."""
        since = time.monotonic()
        yield
        self.round.held.append(Held(HELD, since, time.monotonic()))

    async def renew(self) -> None:
        """Enter another token, which the vendor accepts, and let what was held go on."""
        token = f"{self.world.planted['token']}-renewed"
        await self.accept(token)
        async with self.world.catalog() as catalog:
            organization = (await catalog.organizations.default()).id
            connection = self.connections[HELD]
            await catalog.connections.update(
                organization, connection, fields={"access_token": token}
            )
        await resume_connection(self.world.client, connection, task_queue=TASK_QUEUE)


def _received(type: str, entry: Mapping[str, Any], person: str) -> Received:
    whole = Received.of(entry)
    name = str(entry["call"])
    return Received(
        call=CALLS[type].get(name, READ),
        person=person,
        raw=whole.raw,
        at=whole.at,
        answered=whole.answered,
        status=whole.status,
        stored=whole.stored,
        type=type,
        name=name,
    )


@asynccontextmanager
async def fan_out(world: World, round: Round) -> AsyncIterator[FanOut]:
    async with WebhookSimulator() as receiver:
        fan = FanOut(world, round, receiver)
        for type in samples(receiver.url).keys() - {"customer_io", "webhook"}:
            await world.asked("reset", "POST", {}, type=type)
        await fan.connect()
        await fan.accept(world.planted["token"])
        round.further = fan.requests
        yield fan
        await round.settled()
