"""What changes a connection for the deliveries that wait for it, and tells them so."""

from __future__ import annotations

from temporalio.service import RPCError

from catalog.connections import Connection
from operations.steering import resume_connection
from starter.api.dependencies import Dependencies
from starter.api.errors import temporal_is_unavailable


async def tell_held(parts: Dependencies, connection: Connection) -> bool:
    """Have the deliveries that wait for it look again; one that isn't reached does within the hour.

    False while Temporal is unavailable: what is changed is stored, and none of them is reached.
    """
    try:
        await resume_connection(parts.client, connection.id, task_queue=parts.task_queue)
    except RPCError as err:
        if not temporal_is_unavailable(err):
            raise
        return False
    return True


async def delete_connection(
    parts: Dependencies, organisation: str, connection_id: str, *, force: bool
) -> tuple[Connection, bool]:
    """Delete it, its rules and its mapping; deliveries that wait for it learn that, and fail.

    Returns what it was, and whether they were told: see `tell_held`.

    Raises:
        NotFound: the organisation has no such connection.
        Conflict: it has active rules, and `force` isn't given.
    """
    gone = await parts.catalog.connections.delete(organisation, connection_id, force=force)
    return gone, await tell_held(parts, gone)
