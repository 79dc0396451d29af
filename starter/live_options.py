"""What of an account's own a rule or mapping can name, read when it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from catalog import Catalog
from catalog.connections import Connection
from catalog.errors import CannotDecrypt, InvalidValue, NotFound
from destinations.destination import (
    Action,
    Client,
    FieldsClient,
    ListingClient,
    MappingField,
    NotListed,
    Option,
)
from destinations.http.errors import NoReply
from starter.known_destinations import destination_of

LISTING_SECONDS = 10.0


async def live_options(
    clients: Mapping[str, Client],
    catalog: Catalog,
    connection: Connection,
    action: Action,
    *,
    seconds: float = LISTING_SECONDS,
) -> dict[str, tuple[Option, ...]]:
    """List, by kind, what the action's fields can name.

    Raises:
        CannotDecrypt: the connection's secrets.
        NotListed: the vendor doesn't list it, or doesn't answer in time.
    """
    kinds = {one.live for one in action.inputs if one.live is not None}
    client = clients[connection.type]
    if not kinds or not isinstance(client, ListingClient):
        return {}
    credential = await catalog.credentials.credential(connection.workspace, connection.id)
    async with _answering(seconds):
        return {kind: await client.options(credential, kind) for kind in sorted(kinds)}


async def check_listed(
    clients: Mapping[str, Client],
    catalog: Catalog,
    organization: str,
    connection: str,
    metadata: Mapping[str, Any],
) -> None:
    """Check that the vendor has what a rule names, before the rule is saved.

    What can't be listed now is not checked, nor what saving refuses anyway.

    Raises:
        InvalidValue: the vendor doesn't have it.
    """
    try:
        found = await catalog.connections.get(organization, connection)
        action = destination_of(found.type).action(metadata.get("action", ""))
        checked = [one for one in action.inputs if one.listed_only] if action else []
        listed = await live_options(clients, catalog, found, action) if action and checked else {}
    except (NotListed, CannotDecrypt, NotFound):
        return
    for field in checked:
        value = metadata.get(field.key)
        items = [option.value for option in listed.get(field.live or "", ())]
        if value and str(value).strip() not in items:
            raise InvalidValue(
                f"metadata.{field.key}",
                f"is not among the account's {field.live}; create it there, or correct it",
            )


async def mapping_fields(
    clients: Mapping[str, Client],
    catalog: Catalog,
    connection: Connection,
    *,
    seconds: float = LISTING_SECONDS,
) -> tuple[MappingField, ...]:
    """Return what a mapping can fill: the destination's fields, then the account's own.

    Without its own, if the vendor doesn't list them now.
    """
    fixed = destination_of(connection.type).mapping_fields
    client = clients[connection.type]
    if not isinstance(client, FieldsClient):
        return fixed
    known = {one.key for one in fixed}
    try:
        credential = await catalog.credentials.credential(connection.workspace, connection.id)
        async with _answering(seconds):
            own = await client.fields(credential)
    except (NotListed, CannotDecrypt):
        return fixed
    return (*fixed, *(one for one in own if one.key not in known))


@asynccontextmanager
async def _answering(seconds: float) -> AsyncIterator[None]:
    """Raise `NotListed` if the vendor doesn't answer, or not in time."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise NotListed("no answer in time") from None
    except NoReply as err:
        raise NotListed(str(err)) from None
