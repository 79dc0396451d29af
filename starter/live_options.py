"""What of a vendor's own a rule can name, such as channels, read when it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from catalog import Catalog
from catalog.connections import Connection
from destinations.destination import Action, Client, ListingClient, NotListed, Option
from destinations.http.errors import NoReply

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
    try:
        async with asyncio.timeout(seconds):
            return {kind: await client.options(credential, kind) for kind in sorted(kinds)}
    except TimeoutError:
        raise NotListed("no answer in time") from None
    except NoReply as err:
        raise NotListed(str(err)) from None
