"""What remains elsewhere of what was erased, for CLI and API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from catalog import Catalog
from catalog.errors import NotFound


def remains(refused_for: timedelta | None = None) -> list[dict[str, str | None]]:
    """List where data may remain, and until when; None: for as long as someone keeps it.

    `refused_for`, for a whole workspace, is how long Temporal keeps events that were refused.
    """
    found: list[dict[str, str | None]] = [
        {
            "where": "the destinations",
            "what": "the people and events that were delivered; delete them there",
            "until": None,
        },
        {
            "where": "backups of Temporal's database and of the catalog",
            "what": "what was in them when they were made, encrypted",
            "until": None,
        },
        {
            "where": "free pages of the databases' files and write-ahead logs",
            "what": "deleted rows, encrypted, until the database overwrites them",
            "until": None,
        },
        {
            "where": "exports",
            "what": "events that `emitonce export` or an API client has written to files, readable",
            "until": None,
        },
        {
            "where": "Temporal's archival, where it is set up",
            "what": "histories of closed events, encrypted",
            "until": None,
        },
    ]
    if refused_for is not None:
        found.append(
            {
                "where": "Temporal",
                "what": "events that another starter sent and that were refused as "
                "InvalidEvent: they belong to no workspace",
                "until": (datetime.now(UTC) + refused_for).date().isoformat(),
            }
        )
    return found


def words_of_remains(found: Sequence[Mapping[str, Any]]) -> str:
    lines = ["What may remain elsewhere:"]
    for place in found:
        until = f" (until {place['until']})" if place["until"] else ""
        lines.append(f"  {place['where']}: {place['what']}{until}")
    return "\n".join(lines)


async def person_remains(
    catalog: Catalog, organization: str, connections: Sequence[str]
) -> list[dict[str, Any]]:
    """List where a person's data may remain; the first entry names the connections."""
    first, *others = remains()
    named = []
    for id in connections:
        try:
            one = await catalog.connections.get(organization, id)
            named.append({"id": id, "name": one.name, "type": one.type})
        except NotFound:
            named.append({"id": id, "name": "deleted connection", "type": "unknown"})
    return [{**first, "connections": named}, *others]
