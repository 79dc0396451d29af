"""The console as every process that serves the API serves it."""

from __future__ import annotations

from catalog.connections import Credential
from destinations.customerio.client import CustomerIOClient
from destinations.customerio.verify import Verification, verify
from settings import Settings
from starter.api import Parts
from starter.console import Console, DevelopmentKey


def make_console(
    parts: Parts,
    customerio: CustomerIOClient,
    settings: Settings,
    *,
    development: DevelopmentKey | None = None,
) -> Console:
    """`development` may be signed in with by a link; None in production.

    Raises:
        SettingsError: there is one in production.
    """
    if development is not None:
        settings.forbid_in_production("a development key", "sign in with a machine key")

    async def ask(credential: Credential) -> Verification:
        return await verify(customerio, credential)

    return Console(parts, verify=ask, base_urls=settings.customerio_urls(), development=development)
