"""Ask a destination about a connection: before it is saved, if it asks for that, and afterwards."""

from __future__ import annotations

from collections.abc import Mapping

from catalog import Catalog
from catalog.connections import Connection
from delivery.errors import InvalidField
from destinations.destination import Client, Verdict, Verification
from destinations.registry import BY_TYPE
from starter.json_objects import JsonObject
from starter.known_destinations import destination_of


async def failed_test(
    clients: Mapping[str, Client],
    catalog: Catalog,
    type: str,
    given: Mapping[str, str],
    stored: Connection | None = None,
) -> str | None:
    """Say why the test of a connection failed that is created from `given`, or changed to it.

    None if it passed, if its destination asks for no test, and if a value is invalid: saving it
    says which.

    Raises:
        CannotDecrypt: the stored secrets, with which it would be sent.
    """
    destination = BY_TYPE.get(type)
    if destination is None or not destination.tested_before_saving or not given:
        return None
    kept: dict[str, str] = {}
    if stored is not None:
        found = await catalog.credentials.credential(stored.workspace, stored.id)
        secrets = {key: secret.get_secret_value() for key, secret in found.secrets.items()}
        kept = {**found.settings, **secrets}
    try:
        entered = destination.enter({**kept, **given})
    except InvalidField:
        return None
    checked = await clients[type].verify(entered)
    return None if checked.verdict is Verdict.RIGHT else checked.message


def verification_object(connection: Connection, verified: Verification) -> JsonObject:
    return {
        "connection": connection.id,
        "verdict": verified.verdict,
        "region": verified.region,
        "message": verified.message,
    }


async def verdict_on(
    clients: Mapping[str, Client], catalog: Catalog, connection: Connection
) -> Verification:
    """Ask the destination of a stored connection whether settings and secrets are right.

    Raises:
        CannotDecrypt: the stored secrets.
        OlderRelease: a newer release has made it, to a destination that is unknown here.
    """
    client = clients[destination_of(connection.type).type]
    return await client.verify(
        await catalog.credentials.credential(connection.workspace, connection.id)
    )
