"""What changes a connection for the deliveries that wait for it, and tells them so."""

from __future__ import annotations

from catalog.connections import Connection
from engine.steering import resume_connection
from starter.api.parts import Parts


async def tell_held(parts: Parts, connection: Connection) -> None:
    """Deliveries that wait for it look again; one that isn't reached does so within the hour."""
    await resume_connection(parts.client, connection.id, task_queue=parts.task_queue)


async def delete_connection(
    parts: Parts, organisation: str, connection_id: str, *, force: bool
) -> Connection:
    """Delete it, its rules and its mapping; deliveries that wait for it learn that, and fail.

    Raises:
        NotFound: the organisation has no such connection.
        Conflict: it has active rules, and `force` isn't given.
    """
    gone = await parts.catalog.connections.delete(organisation, connection_id, force=force)
    await tell_held(parts, gone)
    return gone
