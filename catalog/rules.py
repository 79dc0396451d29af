"""Rules: which events go to which connection, and which action they cause there."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from catalog import values
from catalog.changes import Changes
from catalog.database import (
    Connection,
    ForeignKeyViolation,
    Pool,
    Record,
    fetch,
    fetchrow,
    transaction,
)
from catalog.destinations import Destinations
from catalog.errors import NotFound, TooManyRules
from catalog.event_types import remember_names
from catalog.older_releases import require_sources
from catalog.ownership import found, own_workspace, owned_ids
from catalog.paging import DEFAULT_LIMIT, Page, Paging
from catalog.rule_change import RuleChange
from catalog.rule_limit import most_matched
from delivery.rule import MAX_RULES_PER_EVENT


@dataclass(frozen=True)
class Rule:
    """A rule. `resource` and `resource_id` of None match any. `type` is its connection's."""

    id: str
    workspace: str
    connection: str
    type: str
    event: str
    resource: str | None
    resource_id: str | None
    metadata: dict[str, Any]
    active: bool
    hidden: bool
    created_by: str
    created_at: datetime
    updated_at: datetime


_OWNED = """
    SELECT r.*, c.type FROM rules r
    JOIN connections c ON c.id = r.connection_id
    JOIN workspaces w ON w.id = r.workspace_id
    WHERE r.id = $1 AND w.organisation_id = $2
"""


class Rules:
    """Methods find only what belongs to the organization; for all else they raise `NotFound`."""

    def __init__(self, pool: Pool, changes: Changes, destinations: Destinations) -> None:
        self._pool = pool
        self._changes = changes
        self._destinations = destinations

    async def create(
        self,
        organization: str,
        *,
        workspace: str,
        connection: str,
        event: str,
        metadata: Mapping[str, Any],
        resource: str | None = None,
        resource_id: str | None = None,
        active: bool = True,
        hidden: bool = False,
        created_by: str,
    ) -> Rule:
        """Insert a rule, and its event type and resource if they are new.

        Raises:
            InvalidValue: a field is wrong.
            NotFound: workspace or connection aren't the organization's, or don't belong together.
            TooManyRules: with it, one event could match more than `MAX_RULES_PER_EVENT`.
            OlderRelease: it refuses public events, and an older release may still be running.
        """
        connection_id = values.known_id("connection", connection)
        event = values.event_name(event)
        resource = values.resource(resource)
        resource_id = values.resource_id(resource_id)
        created_by = values.created_by(created_by)
        try:
            async with transaction(self._pool) as conn:
                workspace_id = await own_workspace(conn, organization, workspace)
                type = await conn.fetchval(
                    "SELECT type FROM connections WHERE id = $1 AND workspace_id = $2",
                    connection_id,
                    workspace_id,
                )
                if type is None:
                    raise NotFound("connection", connection)
                stored_metadata = values.rule_metadata(self._destinations, type, metadata)
                if active:
                    await _ensure_room(conn, workspace_id, event, resource, resource_id)
                await _ensure_accept(conn, stored_metadata)
                row = await conn.fetchrow(
                    """
                    INSERT INTO rules (workspace_id, connection_id, event, resource, resource_id,
                                       metadata, active, hidden, created_by)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                    RETURNING *, $10::text AS type
                    """,
                    workspace_id,
                    connection_id,
                    event,
                    resource,
                    resource_id,
                    stored_metadata,
                    active,
                    hidden,
                    created_by,
                    type,
                )
                await remember_names(
                    conn, workspace_id, event=event, resource=resource, created_by=created_by
                )
        except ForeignKeyViolation:
            raise NotFound("connection", connection) from None
        return self._announced(row)

    async def get(self, organization: str, id: str) -> Rule:
        row = await fetchrow(self._pool, _OWNED, *owned_ids("rule", id, organization))
        return _rule(found(row, "rule", id))

    async def list(
        self,
        organization: str,
        *,
        workspace: str | None = None,
        event: str | None = None,
        resource: str | None = None,
        resource_id: str | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[Rule]:
        """List the newest first. Filters are compared literally: a rule for any resource doesn't
        match a filter for one.
        """
        owner = values.known_id("organization", organization)
        workspace_id = None if workspace is None else values.known_id("workspace", workspace)
        paging = Paging(limit, cursor)
        filters = (event, resource, resource_id)
        if not all(text is None or values.storable(text) for text in filters):
            return Page(records=(), next_cursor=None)
        rows = await fetch(
            self._pool,
            """
            SELECT r.*, c.type FROM rules r
            JOIN connections c ON c.id = r.connection_id
            JOIN workspaces w ON w.id = r.workspace_id
            WHERE w.organisation_id = $1
              AND ($2::uuid IS NULL OR r.workspace_id = $2)
              AND ($3::text IS NULL OR r.event = $3)
              AND ($4::text IS NULL OR r.resource = $4)
              AND ($5::text IS NULL OR r.resource_id = $5)
              AND ($6::timestamptz IS NULL OR (r.created_at, r.id) < ($6, $7::uuid))
            ORDER BY r.created_at DESC, r.id DESC
            LIMIT $8
            """,
            owner,
            workspace_id,
            *filters,
            *paging.parameters(),
        )
        return paging.page(rows, _rule)

    async def set_active(self, organization: str, id: str, active: bool) -> Rule:
        """Raises `TooManyRules` when there is no room for it among the active ones."""
        return await self.update(organization, id, RuleChange(active=active))

    async def update(self, organization: str, id: str, change: RuleChange) -> Rule:
        """Change what is given. Events that matched it already are delivered as it was then.

        Raises:
            InvalidValue: one of the fields.
            TooManyRules: there is no room for it among the active ones.
        """
        given = change.checked()
        async with transaction(self._pool) as conn:
            stored = dict(await _locked(conn, organization, id))
            rule = stored | given
            if "metadata" in given:
                rule["metadata"] = values.rule_metadata(
                    self._destinations, stored["type"], given["metadata"]
                )
            if rule["active"]:
                await _ensure_room(
                    conn,
                    rule["workspace_id"],
                    rule["event"],
                    rule["resource"],
                    rule["resource_id"],
                    apart_from=rule["id"],
                )
            await _ensure_accept(conn, rule["metadata"])
            row = await conn.fetchrow(
                """
                UPDATE rules SET event = $2, resource = $3, resource_id = $4, metadata = $5,
                    active = $6, hidden = $7, updated_at = clock_timestamp()
                WHERE id = $1 RETURNING *, $8::text AS type
                """,
                rule["id"],
                rule["event"],
                rule["resource"],
                rule["resource_id"],
                rule["metadata"],
                rule["active"],
                rule["hidden"],
                rule["type"],
            )
            await remember_names(
                conn,
                rule["workspace_id"],
                event=rule["event"],
                resource=rule["resource"],
                created_by=rule["created_by"],
            )
        return self._announced(row)

    async def delete(self, organization: str, id: str) -> Rule:
        """Delete it and return what it was. Events that it has already matched are delivered."""
        async with transaction(self._pool) as conn:
            row = await _locked(conn, organization, id)
            await conn.execute("DELETE FROM rules WHERE id = $1", row["id"])
        return self._announced(row)

    def _announced(self, row: Record) -> Rule:
        rule = _rule(row)
        self._changes.announce(rule.workspace)
        return rule


async def _locked(conn: Connection, organization: str, id: str) -> Record:
    row = await conn.fetchrow(_OWNED + "FOR UPDATE OF r", *owned_ids("rule", id, organization))
    return found(row, "rule", id)


async def _ensure_room(
    conn: Connection,
    workspace: uuid.UUID,
    event: str,
    resource: str | None,
    resource_id: str | None,
    *,
    apart_from: uuid.UUID | None = None,
) -> None:
    """Raises `TooManyRules`. Until the transaction ends, nobody else adds to this event's rules."""
    await conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"rules|{workspace}|{event}"
    )
    # Only rules that share an event with the new one count: those for other resources don't.
    rows = await conn.fetch(
        """
        SELECT resource, resource_id, count(*) AS number FROM rules
        WHERE workspace_id = $1 AND event = $2 AND active
          AND ($3::text IS NULL OR coalesce(resource, '') = ANY (ARRAY['', $3]))
          AND ($4::text IS NULL OR coalesce(resource_id, '') = ANY (ARRAY['', $4]))
          AND ($5::uuid IS NULL OR id <> $5)
        GROUP BY resource, resource_id
        """,
        workspace,
        event,
        resource,
        resource_id,
        apart_from,
    )
    counts = {(row["resource"], row["resource_id"]): row["number"] for row in rows}
    if most_matched(counts) >= MAX_RULES_PER_EVENT:
        raise TooManyRules(event, MAX_RULES_PER_EVENT)


async def _ensure_accept(conn: Connection, metadata: Mapping[str, Any]) -> None:
    """Raises `OlderRelease` if it refuses public events, and some process would ignore that."""
    if metadata.get("accept", "all") != "all":
        await require_sources(conn)


def _rule(row: Record) -> Rule:
    return Rule(
        id=str(row["id"]),
        workspace=str(row["workspace_id"]),
        connection=str(row["connection_id"]),
        type=row["type"],
        event=row["event"],
        resource=row["resource"],
        resource_id=row["resource_id"],
        metadata=row["metadata"],
        active=row["active"],
        hidden=row["hidden"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
