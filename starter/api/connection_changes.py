"""Change a connection, and notify the deliveries that wait for it."""

from __future__ import annotations

from temporalio.service import RPCError

from catalog.connections import Connection
from operations.steering import resume_connection
from starter.api.dependencies import Dependencies
from starter.api.errors import temporal_is_unavailable


async def tell_held(parts: Dependencies, connection: Connection) -> bool:
    """Have the deliveries that wait for a connection check it again.

    A delivery that is missed checks again within the hour. Returns False while Temporal is
    unavailable: the change is stored, but no delivery was notified.
    """
    try:
        await resume_connection(parts.client, connection.id, task_queue=parts.task_queue)
    except RPCError as err:
        if not temporal_is_unavailable(err):
            raise
        return False
    return True


async def delete_connection(
    parts: Dependencies, organization: str, connection_id: str, *, force: bool
) -> tuple[Connection, bool]:
    """Delete a connection, its rules and its mapping; deliveries that wait for it fail.

    Returns the deleted connection, and whether they were notified: see `tell_held`.

    Raises:
        NotFound: the organization has no such connection.
        Conflict: it has active rules, and `force` isn't given.
    """
    gone = await parts.catalog.connections.delete(organization, connection_id, force=force)
    return gone, await tell_held(parts, gone)
