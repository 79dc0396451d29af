"""Notify the deliveries that wait for a connection, after it was changed."""

from __future__ import annotations

from engine.connect import TemporalUnreachable
from operations.steering import resume_connection
from settings import SettingsError
from starter.cli.dependencies import Dependencies
from starter.cli.output import say


async def tell_held(parts: Dependencies, *connections: str, will: str = "continue") -> None:
    """Have held deliveries check their connections, which stay changed while Temporal is
    unavailable.
    """
    try:
        client = await parts.temporal()
    except (TemporalUnreachable, SettingsError) as err:
        say(str(err))
        say(f"the change is made; deliveries that were held {will} within an hour")
        return
    for id in connections:
        await resume_connection(client, id, task_queue=parts.settings.task_queue)
    say(f"deliveries that were held {will}")
