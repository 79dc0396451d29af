"""The console as every process that serves the API serves it."""

from __future__ import annotations

from collections.abc import Mapping

from destinations.destination import Client, Credential, Verification
from settings import Settings
from starter.api import Parts
from starter.console import Console, DevelopmentKey


def make_console(
    parts: Parts,
    clients: Mapping[str, Client],
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

    async def ask(type: str, credential: Credential) -> Verification:
        return await clients[type].verify(credential)

    return Console(parts, verify=ask, development=development)
