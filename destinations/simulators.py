"""The simulators of all vendors: development, tests and `emitonce simulator` play them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice, repeat
from typing import Any

from destinations.customerio.simulator import Simulator
from destinations.hubspot.simulator import HubSpotSimulator
from destinations.intercom.simulator import IntercomSimulator
from destinations.mailchimp.simulator import MailchimpSimulator
from destinations.resend.simulator import ResendSimulator
from destinations.simulator import VendorSimulator
from destinations.slack.simulator import SlackSimulator

# By destination type.
Simulators = Mapping[str, Any]


@asynccontextmanager
async def open_simulators(
    ports: Iterable[int] = repeat(0),
    *,
    customer_io: Simulator | None = None,
    host: str = "127.0.0.1",
    keep_requests: int | None = None,
) -> AsyncIterator[Simulators]:
    """Listen with all of them, each region on the next of `ports`, 0 being any free one.

    Raises:
        OSError: a port is taken.
    """
    free = iter(ports)
    made: dict[str, VendorSimulator[Any]] = {
        "customer_io": customer_io or Simulator(),
        "slack": SlackSimulator(),
        "hubspot": HubSpotSimulator(),
        "resend": ResendSimulator(),
        "mailchimp": MailchimpSimulator(),
        "intercom": IntercomSimulator(),
    }
    async with AsyncExitStack() as stack:
        for simulator in made.values():
            own = islice(free, len(simulator.regions))
            await simulator.listen(*own, host=host, keep_requests=keep_requests)
            stack.push_async_callback(simulator.stop)
        yield made


def base_urls(simulators: Simulators) -> dict[str, str]:
    """Return them as `EMITONCE_BASE_URLS` names them: `slack`, `customer_io.eu`."""
    return {
        f"{type}.{region}" if region else type: url
        for type, simulator in simulators.items()
        for region, url in simulator.base_urls.items()
    }
